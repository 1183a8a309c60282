// The recurrences of minGRU and minLSTM over sequences that lie end to end: minimal_gates.py says what is computed.
//
// Preactivations (T, gates x D) with the candidate's last, states (T, D).
#include "units.h"

constexpr int LOWEST = -80;  // preactivations of gates below count as this, so that their exponentials stay finite

// What the gates of a vector of units say: shares of the state before and of the candidate, and the derivatives of the former.
template <class Real>
struct Shares {
    Vector<Real> keep, enter, by_first, by_second;
};

template <class Real>
INLINE Vector<Real> shut(Vector<Real> gate) {
    return exponential(gate < every((Real)LOWEST) ? every((Real)-LOWEST) : -gate);
}

template <int GATES, class Real, class Width>
INLINE Shares<Real> shares(const Real* x, long units, long c, Width width) {
    using V = Vector<Real>;
    V first = shut<Real>(load(x + c, width));
    if (GATES == 2) {
        V enter = 1 / (1 + first), keep = first * enter;
        return {keep, enter, -keep * enter, V{}};
    }
    V second = shut<Real>(load(x + units + c, width)), scale = 1 / (2 + first + second);
    V keep = (1 + second) * scale, enter = (1 + first) * scale;
    return {keep, enter, keep * first * scale, -enter * second * scale};
}

template <int GATES, class Real>
static void forward(const int64_t* begins, long sequences, long units, const Real* x, Real* states, long threads) {
    const long parts = parts_for(threads, sequences);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < sequences * parts; number++) {
        Unit unit(begins, units, parts, number, LANES<Real>);
        for (long t = unit.begin; t < unit.begin + unit.length; t++) {
            const Real* from = x + t * GATES * units + unit.first;
            Real* state = states + t * units + unit.first;
            each_vector<Real>(unit.count, [&](long c, auto width) {
                auto share = shares<GATES>(from, units, c, width);
                Vector<Real> hidden = load(from + (GATES - 1) * units + c, width);
                Vector<Real> sum = share.enter * (hidden < Vector<Real>{} ? sigmoid(hidden) : hidden + Real(0.5));
                if (t > unit.begin) sum += share.keep * load(state - units + c, width);
                store(state + c, sum, width);
            });
        }
    }
}

// grad: of the states. dx: written.
template <int GATES, class Real>
static void backward(
    const int64_t* begins, long sequences, long units, const Real* x, const Real* states, const Real* grad, Real* dx, long threads) {
    const long parts = parts_for(threads, sequences);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < sequences * parts; number++) {
        Unit unit(begins, units, parts, number, LANES<Real>);
        Scratch<Real> scratch(padded<Real>(unit.count));
        Real* later = scratch.take(unit.count);  // the gradient of a state by way of the one after it
        for (long t = unit.begin + unit.length - 1; t >= unit.begin; t--) {
            const Real *from = x + t * GATES * units + unit.first, *state = states + t * units + unit.first;
            const Real* d_state = grad + t * units + unit.first;
            Real* to = dx + t * GATES * units + unit.first;
            each_vector<Real>(unit.count, [&](long c, auto width) {
                using V = Vector<Real>;
                auto share = shares<GATES>(from, units, c, width);
                V hidden = load(from + (GATES - 1) * units + c, width), low = sigmoid(hidden);
                auto below = hidden < V{};
                V candidate = below ? low : hidden + Real(0.5), slope = below ? low * (1 - low) : every(Real(1));
                V before = t > unit.begin ? load(state - units + c, width) : V{};
                V d = load(d_state + c, width) + load(later + c, width);
                store(later + c, d * share.keep, width);
                V d_keep = d * (before - candidate);
                store(to + c, d_keep * share.by_first, width);
                if (GATES == 3) store(to + units + c, d_keep * share.by_second, width);
                store(to + (GATES - 1) * units + c, d * share.enter * slope, width);
            });
        }
    }
}

#define MINIMAL(Real, suffix)                                                                                                      \
    EXPORT void minimal_forward_##suffix(                                                                                           \
        const Real* x, const int64_t* begins, Real* states, long sequences, long units, long gates, long threads) {                 \
        (gates == 2 ? forward<2, Real> : forward<3, Real>)(begins, sequences, units, x, states, threads);                           \
    }                                                                                                                               \
    EXPORT void minimal_backward_##suffix(                                                                                          \
        const Real* x, const int64_t* begins, const Real* states, const Real* grad, Real* dx, long sequences, long units,           \
        long gates, long threads) {                                                                                                 \
        (gates == 2 ? backward<2, Real> : backward<3, Real>)(begins, sequences, units, x, states, grad, dx, threads);               \
    }
MINIMAL(float, f32)
MINIMAL(double, f64)
