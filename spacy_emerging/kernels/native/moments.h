// What a layer norm takes of a row.
#pragma once

#include "simd.h"

// Zeros beyond the end of a row.
template <class Real>
INLINE Vector<Real> counting(Vector<Real> value, Whole) {
    return value;
}
template <class Real>
INLINE Vector<Real> counting(Vector<Real> value, Part part) {
    return up_to<Real>(part.count - 1, 0, value);
}

// Mean of a row, and the scale that makes its variance 1.
template <class Real>
INLINE void moments(const Real* x, long d, Real epsilon, Real& mean, Real& scale) {
    Vector<Real> sums{}, squares{};
    each_vector<Real>(d, [&](long j, auto width) { sums += load(x + j, width); });
    mean = sum_of<Real>(sums) / d;
    each_vector<Real>(d, [&](long j, auto width) {
        Vector<Real> off = counting<Real>(load(x + j, width) - mean, width);
        squares += off * off;
    });
    scale = 1 / root(sum_of<Real>(squares) / d + epsilon);
}
