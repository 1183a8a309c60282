// One token of the recurrences of minGRU and minLSTM: minimal_gates.py says what is computed.
#pragma once

#include "simd.h"

namespace minimal {

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

// One token: its state from its preactivations and the state before, if there is one.
template <int GATES, class Real>
INLINE void read_token(const Real* x, const Real* before, Real* state, long units, long count) {
    each_vector<Real>(count, [&](long c, auto width) {
        auto share = shares<GATES>(x, units, c, width);
        Vector<Real> hidden = load(x + (GATES - 1) * units + c, width);
        Vector<Real> sum = share.enter * (hidden < Vector<Real>{} ? sigmoid(hidden) : hidden + Real(0.5));
        if (before) sum += share.keep * load(before + c, width);
        store(state + c, sum, width);
    });
}

// The gradient of a token's preactivations. later: of its state by way of the one after it, replaced by that of the state before.
template <int GATES, class Real>
INLINE void back_through_token(
    const Real* x, const Real* state, const Real* grad, Real* later, Real* dx, bool begins, long units, long count) {
    each_vector<Real>(count, [&](long c, auto width) {
        using V = Vector<Real>;
        auto share = shares<GATES>(x, units, c, width);
        V hidden = load(x + (GATES - 1) * units + c, width), low = sigmoid(hidden);
        auto below = hidden < V{};
        V candidate = below ? low : hidden + Real(0.5), slope = below ? low * (1 - low) : every(Real(1));
        V before = begins ? V{} : load(state - units + c, width);
        V d = load(grad + c, width) + load(later + c, width);
        store(later + c, d * share.keep, width);
        V d_keep = d * (before - candidate);
        store(dx + c, d_keep * share.by_first, width);
        if (GATES == 3) store(dx + units + c, d_keep * share.by_second, width);
        store(dx + (GATES - 1) * units + c, d * share.enter * slope, width);
    });
}

}  // namespace minimal
