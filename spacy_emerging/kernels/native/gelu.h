// GELU, x times the share of a normal distribution that lies below x (arXiv 1606.08415), exact but for rounding.
#pragma once

#include "simd.h"

// erf(x) as x times a quotient of polynomials in x^2, to a few units in the last place. Beyond 4 it is 1 in float32.
// Source: Eigen 3.3, MathFunctionsImpl.h.
INLINE Vector<float> error_function(Vector<float> x) {
    using V = Vector<float>;
    const V most = every(4.0f);
    x = x > most ? most : x;
    x = x < -most ? -most : x;
    V square = x * x;
    V above = square * -2.72614225801306e-10f + 2.77068142495902e-08f;
    above = above * square - 2.10102402082508e-06f;
    above = above * square - 5.69250639462346e-05f;
    above = above * square - 7.34990630326855e-04f;
    above = above * square - 2.95459980854025e-03f;
    above = above * square - 1.60960333262415e-02f;
    V below = square * -1.45660718464996e-05f - 2.13374055278905e-04f;
    below = below * square - 1.68282697438203e-03f;
    below = below * square - 7.37332916720468e-03f;
    below = below * square - 1.42647390514189e-02f;
    return x * above / below;
}
INLINE Vector<double> error_function(Vector<double> x) {
    for (int i = 0; i < LANES<double>; i++) x[i] = erf(x[i]);
    return x;
}

template <class Real>
INLINE Vector<Real> share_below(Vector<Real> x) {
    return Real(0.5) + Real(0.5) * error_function(x * Real(0.70710678118654752));
}

template <class Real>
INLINE Vector<Real> gelu(Vector<Real> x) {
    return x * share_below<Real>(x);
}

// x times the density at x: what the slope of GELU has beyond the share below x.
template <class Real>
INLINE Vector<Real> gelu_density(Vector<Real> x) {
    return x * Real(0.39894228040143268) * exponential(Real(-0.5) * x * x);
}
