// One step of the sLSTM and the way back through it, for a vector of units. d: from number to number of what is kept of a unit.
#pragma once

#include "simd.h"

constexpr long KEPT = 5;  // numbers kept per unit and token: tanh z, sigmoid o, share, sigmoid -f, ratio

template <class Real>
INLINE Vector<Real> magnitude(Vector<Real> x) {
    return x < Vector<Real>{} ? -x : x;
}

// tanh: a polynomial where 1 - exp(-2 |x|) would have lost its last places (Cephes, tanhf).
INLINE Vector<float> hyperbolic_tangent(Vector<float> x) {
    using V = Vector<float>;
    V size = magnitude<float>(x), square = x * x;
    V p = square * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    V near = p * square * x + x, far = 1 - 2 / (exponential(2 * size) + 1);
    far = x < V{} ? -far : far;
    return size < every(0.625f) ? near : far;
}
INLINE Vector<double> hyperbolic_tangent(Vector<double> x) {
    for (int i = 0; i < LANES<double>; i++) x[i] = tanh(x[i]);
    return x;
}

// One unit's step, for a vector of units: c and n are held as their ratio r, and n without exp(m). That m follows min(f, 0) and not
// log(sigmoid(f)) saves a logarithm; the two differ by log(2) at most.
template <class Real, class Width>
INLINE void step(const Real* gates, long wide, Real* r, Real* n, Real* m, Real* h, Real* kept, long d, Width width) {
    using V = Vector<Real>;
    const V zero{}, one = every(Real(1));
    V z = hyperbolic_tangent(load(gates, width)), o = sigmoid(load(gates + wide, width));
    V i = load(gates + 2 * wide, width), f = load(gates + 3 * wide, width);
    V e = exponential(-magnitude<Real>(f)), all = 1 + e, part = 1 / all;
    V faded = load(m, width) + (f < zero ? f : zero), ahead = i - faded, fade = exponential(-magnitude<Real>(ahead));
    V added = all * (ahead > zero ? one : fade), total = load(n, width) * (ahead > zero ? fade : one) + added;
    V share = added / total, ratio = load(r, width);
    ratio += share * (z - ratio);
    V output = o * ratio;
    store(m, ahead > zero ? i : faded, width);
    store(n, total * part, width);
    store(r, ratio, width);
    store(h, output, width);
    if (!kept) return;
    store(kept, z, width);
    store(kept + d, o, width);
    store(kept + 2 * d, share, width);
    store(kept + 3 * d, (f < zero ? one : e) * part, width);
    store(kept + 4 * d, ratio, width);
}

INLINE float logarithm(float x) { return logf(x); }
INLINE double logarithm(double x) { return log(x); }

// What a step hands back: gradients of its preactivations, and to the step before those of the ratio and of log n.
template <class Real, class Width>
INLINE void step_back(const Real* kept, const Real* earlier, Vector<Real> d_h, Real* d_ratio, Real* d_log, Real* to, long d, long wide, Width width) {
    using V = Vector<Real>;
    V z = load(kept, width), o = load(kept + d, width), share = load(kept + 2 * d, width), closed = load(kept + 3 * d, width);
    V r = load(kept + 4 * d, width), before = earlier ? load(earlier + 4 * d, width) : V{};
    V d_r = load(d_ratio, width) + d_h * o, d_n = load(d_log, width);
    V d_i = d_r * share * (1 - share) * (z - before) + d_n * share;
    d_n -= d_i;
    store(to, d_r * share * (1 - z * z), width);
    store(to + wide, d_h * r * o * (1 - o), width);
    store(to + 2 * wide, d_i, width);
    store(to + 3 * wide, d_n * closed, width);
    store(d_ratio, d_r * (1 - share), width);
    store(d_log, d_n, width);
}
