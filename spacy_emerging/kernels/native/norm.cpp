// Normalisation by itself: threads share the rows.
#include "norm.h"

namespace {

using namespace norm;

constexpr long SOON = 4;  // rows that are asked for ahead of those that are worked on

// Which row of x is read as number t; order: (T), or none where they are read one after the other.
INLINE long place(const int64_t* order, long t) { return order ? order[t] : t; }

template <int GATE, class Real>
static void all_forward(
    const Real* x, const Real* z, const Real* weight, const int64_t* order, Real* y, Real* scales, long x_row, long z_row, long rows,
    long width, Real epsilon, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < rows; t++) {
        if (t + SOON < rows) fetch(x + place(order, t + SOON) * x_row, 0, 1, width);
        scales[t] = forward<GATE>(x + place(order, t) * x_row, z + t * z_row, weight, y + t * width, width, epsilon);
    }
}

// dx: in the order of x, dz: (T, D) in rows of dz_row, both written. d_weight: (parts, D), a row per thread, written.
template <int GATE, class Real>
static void all_backward(
    const Real* x, const Real* z, const Real* weight, const int64_t* order, const Real* scales, const Real* grad, Real* dx, Real* dz,
    Real* d_weight, long x_row, long z_row, long dx_row, long dz_row, long rows, long width, long threads) {
    const long share = (rows + threads - 1) / threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Space<Real> space(width, d_weight + number * width);
        const long end = (number + 1) * share < rows ? (number + 1) * share : rows;
        for (long t = number * share; t < end; t++) {
            const long at = place(order, t);
            if (t + SOON < end) fetch(x + place(order, t + SOON) * x_row, 0, 1, width);
            backward<GATE>(
                x + at * x_row, z + t * z_row, weight, scales[t], grad + t * width, dx + at * dx_row, dz + t * dz_row, space, width);
        }
    }
}

}  // namespace

#define NORM(Real, suffix)                                                                                                         \
    EXPORT void norm_forward_##suffix(                                                                                              \
        const Real* x, const Real* z, const Real* weight, const int64_t* order, Real* y, Real* scales, long gate, long x_row,       \
        long z_row, long rows, long width, double epsilon, long threads) {                                                          \
        auto run = gate == NONE ? all_forward<NONE, Real> : gate == BEFORE ? all_forward<BEFORE, Real> : all_forward<AFTER, Real>;  \
        run(x, z, weight, order, y, scales, x_row, z_row, rows, width, (Real)epsilon, threads);                                     \
    }                                                                                                                               \
    EXPORT void norm_backward_##suffix(                                                                                             \
        const Real* x, const Real* z, const Real* weight, const int64_t* order, const Real* scales, const Real* grad, Real* dx,     \
        Real* dz, Real* d_weight, long gate, long x_row, long z_row, long dx_row, long dz_row, long rows, long width,               \
        long threads) {                                                                                                             \
        auto run = gate == NONE ? all_backward<NONE, Real> : gate == BEFORE ? all_backward<BEFORE, Real> : all_backward<AFTER, Real>; \
        run(x, z, weight, order, scales, grad, dx, dz, d_weight, x_row, z_row, dx_row, dz_row, rows, width, threads);               \
    }
NORM(float, f32)
NORM(double, f64)
