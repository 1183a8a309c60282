// Normalisation by itself: threads share the rows.
#include "norm.h"

namespace {

using namespace norm;

template <int GATE, class Real>
static void all_forward(
    const Real* x, const Real* z, const Real* weight, Real* y, Real* scales, long x_row, long z_row, long rows, long width, Real epsilon,
    long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < rows; t++) scales[t] = forward<GATE>(x + t * x_row, z + t * z_row, weight, y + t * width, width, epsilon);
}

// dx: (T, D), dz: (T, D) in rows of z_row, both written. d_weight: (parts, D), a row per thread, written.
template <int GATE, class Real>
static void all_backward(
    const Real* x, const Real* z, const Real* weight, const Real* scales, const Real* grad, Real* dx, Real* dz, Real* d_weight,
    long x_row, long z_row, long dz_row, long rows, long width, long threads) {
    const long share = (rows + threads - 1) / threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Space<Real> space(width, d_weight + number * width);
        const long end = (number + 1) * share < rows ? (number + 1) * share : rows;
        for (long t = number * share; t < end; t++)
            backward<GATE>(
                x + t * x_row, z + t * z_row, weight, scales[t], grad + t * width, dx + t * width, dz + t * dz_row, space, width);
    }
}

}  // namespace

#define NORM(Real, suffix)                                                                                                         \
    EXPORT void norm_forward_##suffix(                                                                                              \
        const Real* x, const Real* z, const Real* weight, Real* y, Real* scales, long gate, long x_row, long z_row, long rows,      \
        long width, double epsilon, long threads) {                                                                                 \
        auto run = gate == NONE ? all_forward<NONE, Real> : gate == BEFORE ? all_forward<BEFORE, Real> : all_forward<AFTER, Real>;              \
        run(x, z, weight, y, scales, x_row, z_row, rows, width, (Real)epsilon, threads);                                            \
    }                                                                                                                               \
    EXPORT void norm_backward_##suffix(                                                                                             \
        const Real* x, const Real* z, const Real* weight, const Real* scales, const Real* grad, Real* dx, Real* dz, Real* d_weight, \
        long gate, long x_row, long z_row, long dz_row, long rows, long width, long threads) {                                      \
        auto run = gate == NONE ? all_backward<NONE, Real> : gate == BEFORE ? all_backward<BEFORE, Real> : all_backward<AFTER, Real>;           \
        run(x, z, weight, scales, grad, dx, dz, d_weight, x_row, z_row, dz_row, rows, width, threads);                              \
    }
NORM(float, f32)
NORM(double, f64)
