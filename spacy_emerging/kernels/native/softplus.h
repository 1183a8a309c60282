// log(1 + exp(x)) of vectors, from which the step sizes of state spaces come.
#pragma once

#include "simd.h"

// log(1 + e) for e from 0 to 1: twice the inverse hyperbolic tangent of s = e / (2 + e), which is at most 1/3; in float32 by a polynomial
// that fits to 5e-9.
INLINE Vector<float> log_of_one_and(Vector<float>, Vector<float> s) {
    using V = Vector<float>;
    V square = s * s, p = square * 1.400618204e-1f + 1.400086336e-1f;
    p = p * square + 2.001076599e-1f;
    p = p * square + 3.333320810e-1f;
    return 2 * (s + s * square * p);
}
INLINE Vector<double> log_of_one_and(Vector<double> e, Vector<double>) {
    for (int i = 0; i < LANES<double>; i++) e[i] = log1p(e[i]);
    return e;
}

// Of x, and its derivative. e: exp(-|x|).
template <class V>
struct Softplus {
    V value, slope;

    METHOD Softplus(V x, V e) {
        V above = x > V{} ? x : V{};
        V shared = 1 / ((1 + e) * (2 + e));  // a division takes longer than all the products
        value = above + log_of_one_and(e, e * (1 + e) * shared);
        slope = (x > V{} ? 1 + V{} : e) * (2 + e) * shared;
    }
};

// Steps of tokens, (tokens, heads), and how fast softplus rises there, unless there is no room for it. before: what softplus is taken of,
// but for the biases, in rows so far apart.
template <class Real>
static void steps_of(long tokens, long heads, const Real* before, long row, const Real* bias, Real* dt, Real* slopes) {
    using V = Vector<Real>;
    for (long t = 0; t < tokens; t++)
        for (long h = 0; h < heads; h++) dt[t * heads + h] = before[t * row + h] + bias[h];
    each_vector<Real>(tokens * heads, [&](long i, auto part) {
        const V x = load(dt + i, part);
        const Softplus<V> step(x, exponential(x > V{} ? -x : x));
        store(dt + i, step.value, part);
        if (slopes) store(slopes + i, step.slope, part);
    });
}

// The gradient before softplus is written, that of the biases added to.
template <class Real>
static void back_through_steps(long tokens, long heads, const Real* d_dt, const Real* slopes, Real* d_before, long row, Real* d_bias) {
    for (long t = 0; t < tokens; t++)
        for (long h = 0; h < heads; h++) d_bias[h] += d_before[t * row + h] = d_dt[t * heads + h] * slopes[t * heads + h];
}
