// The recurrences of minGRU and minLSTM over sequences that lie end to end: minimal_gates.py says what is computed.
//
// Preactivations (T, gates x D) with the candidate's last, states (T, D).
#include "minimal.h"
#include "panels.h"
#include "units.h"

namespace {

using namespace minimal;

// start: (sequences, units), the states before the first tokens; or none.
template <int GATES, class Real>
static void forward(const int64_t* begins, long sequences, long units, const Real* x, const Real* start, Real* states, long threads) {
    const long parts = parts_for(threads, sequences);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < sequences * parts; number++) {
        Unit unit(begins, units, parts, number, LANES<Real>);
        const Real* before = start ? start + unit.sequence * units + unit.first : nullptr;
        for (long t = unit.begin; t < unit.begin + unit.length; t++) {
            Real* state = states + t * units + unit.first;
            read_token<GATES>(x + t * GATES * units + unit.first, before, state, units, unit.count);
            before = state;
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
        Real* later = scratch.take(unit.count);
        for (long t = unit.begin + unit.length - 1; t >= unit.begin; t--) {
            const long row = t * GATES * units + unit.first, at = t * units + unit.first;
            back_through_token<GATES>(x + row, states + at, grad + at, later, dx + row, t == unit.begin, units, unit.count);
        }
    }
}

// The recurrence with the linear layer before it, a block of tokens at a time: x (T, width), weight (gates x units, width).
template <class Real>
struct Layer {
    const int64_t* begins;
    long sequences, width, units;
    const Real *x, *weight, *bias;

    long first(long number, long threads) const { return first_sequence(begins, sequences, threads, number); }
};

// start: as above. inside: (T, gates x units), the preactivations, written for the backward pass; or none. Each thread has a range of the
// sequences.
template <int GATES, class Real>
static void layer_forward(const Layer<Real>& l, const Real* start, Real* inside, Real* states, long threads) {
    const long wide = GATES * l.units;
    Scratch<Real> weights(panel_numbers<Real>(l.width, wide));
    Real* panels = weights.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) share_of_panels(true, l.width, wide, l.weight, panels, threads, number);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            long s = l.first(number, threads);
            const long begin = l.begins[s], end = l.begins[l.first(number + 1, threads)];
            Scratch<Real> scratch(ROWS * wide);
            for (long first = begin; first < end; first += ROWS) {
                const long count = end - first < ROWS ? end - first : ROWS;
                Real* to = inside ? inside + first * wide : scratch.take(0);
                rows_by_panels(count, wide, l.width, l.x + first * l.width, l.width, panels, l.bias, to, wide);
                for (long t = first; t < first + count; t++) {
                    while (t >= l.begins[s + 1]) s++;
                    Real* state = states + t * l.units;
                    const Real* before = t > l.begins[s] ? state - l.units : start ? start + s * l.units : nullptr;
                    read_token<GATES>(to + (t - first) * wide, before, state, l.units, l.units);
                }
            }
        }
    }
}

// grad: of the states. dx: (T, width), d_weight: as the weight, d_bias: one for each thread; all written. partial: (threads, width,
// gates x units), working memory.
template <int GATES, class Real>
static void layer_backward(
    const Layer<Real>& l, const Real* inside, const Real* states, const Real* grad, Real* dx, Real* d_weight, Real* d_bias, Real* partial,
    long threads) {
    const long wide = GATES * l.units;
    Scratch<Real> weights(panel_numbers<Real>(wide, l.width));
    Real* panels = weights.take(0);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) share_of_panels(false, wide, l.width, l.weight, panels, threads, number);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Scratch<Real> scratch(ROWS * wide + padded<Real>(l.units));
            Real *found = scratch.take(ROWS * wide), *later = scratch.take(l.units);
            Outer<Real> space(ROWS, l.width);
            Real *d_weight_own = cleared(partial, l.width * wide, number), *d_bias_own = cleared(d_bias, wide, number);
            long s = l.first(number + 1, threads) - 1;
            const long begin = l.begins[l.first(number, threads)];
            for (long end = l.begins[s + 1]; end > begin; end -= ROWS) {
                const long first = end - begin < ROWS ? begin : end - ROWS, count = end - first;
                for (long t = end - 1; t >= first; t--) {
                    while (t < l.begins[s]) s--;
                    if (t + 1 == l.begins[s + 1]) memset(later, 0, l.units * sizeof(Real));
                    const Real *state = states + t * l.units, *d_state = grad + t * l.units;
                    Real* to = found + (t - first) * wide;
                    back_through_token<GATES>(inside + t * wide, state, d_state, later, to, t == l.begins[s], l.units, l.units);
                }
                const Real* x = l.x + first * l.width;
                rows_by_panels<Real>(count, l.width, wide, found, wide, panels, nullptr, dx + first * l.width, l.width);
                add_outer<Real>(space, count, l.width, wide, x, l.width, found, wide, d_weight_own, wide);
                add_rows(count, wide, found, wide, d_bias_own);
            }
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) turned_sum(l.width, wide, partial, d_weight, threads, number);
    }
}

}  // namespace

#define MINIMAL(Real, suffix)                                                                                                         \
    EXPORT void minimal_forward_##suffix(                                                                                             \
        const Real* x, const int64_t* begins, const Real* start, Real* states, long sequences, long units, long gates,                \
        long threads) {                                                                                                               \
        (gates == 2 ? forward<2, Real> : forward<3, Real>)(begins, sequences, units, x, start, states, threads);                      \
    }                                                                                                                                 \
    EXPORT void minimal_backward_##suffix(                                                                                            \
        const Real* x, const int64_t* begins, const Real* states, const Real* grad, Real* dx, long sequences, long units,             \
        long gates, long threads) {                                                                                                   \
        (gates == 2 ? backward<2, Real> : backward<3, Real>)(begins, sequences, units, x, states, grad, dx, threads);                 \
    }                                                                                                                                 \
    EXPORT void minimal_layer_forward_##suffix(                                                                                       \
        const Real* x, const Real* weight, const Real* bias, const int64_t* begins, const Real* start, Real* inside, Real* states,    \
        long sequences, long width, long units, long gates, long threads) {                                                           \
        Layer<Real> l{begins, sequences, width, units, x, weight, bias};                                                              \
        (gates == 2 ? layer_forward<2, Real> : layer_forward<3, Real>)(l, start, inside, states, threads);                            \
    }                                                                                                                                 \
    EXPORT void minimal_layer_backward_##suffix(                                                                                      \
        const Real* x, const Real* weight, const int64_t* begins, const Real* inside, const Real* states, const Real* grad, Real* dx, \
        Real* d_weight, Real* d_bias, Real* partial, long sequences, long width, long units, long gates, long threads) {              \
        Layer<Real> l{begins, sequences, width, units, x, weight, nullptr};                                                           \
        (gates == 2 ? layer_backward<2, Real> : layer_backward<3, Real>)(                                                              \
            l, inside, states, grad, dx, d_weight, d_bias, partial, threads);                                                         \
    }
MINIMAL(float, f32)
MINIMAL(double, f64)
