// GELU over a flat array, or as a gate: the left half of every row opens the right one.
#include "gelu.h"

namespace {

// Calls work(place, width) for all of a flat array.
template <class Real, class Work>
INLINE void everywhere(long count, long threads, Work work) {
    const long share = padded<Real>((count + threads - 1) / threads);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const long first = number * share, rest = count - first < share ? count - first : share;
        each_vector<Real>(rest, [&](long i, auto width) { work(first + i, width); });
    }
}

// y: (rows, width). x: (rows, 2 width).
template <class Real>
static void gate(const Real* x, Real* y, long rows, long width, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < rows; t++) {
        const Real *left = x + 2 * t * width, *right = left + width;
        each_vector<Real>(width, [&](long i, auto part) {
            store(y + t * width + i, gelu<Real>(load(left + i, part)) * load(right + i, part), part);
        });
    }
}

template <class Real>
static void gate_backward(const Real* x, const Real* grad, Real* dx, long rows, long width, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long t = 0; t < rows; t++) {
        const Real *left = x + 2 * t * width, *right = left + width;
        Real *d_left = dx + 2 * t * width, *d_right = d_left + width;
        each_vector<Real>(width, [&](long i, auto part) {
            Vector<Real> value = load(left + i, part), below = share_below<Real>(value), g = load(grad + t * width + i, part);
            store(d_left + i, g * load(right + i, part) * (below + gelu_density<Real>(value)), part);
            store(d_right + i, g * value * below, part);
        });
    }
}

}  // namespace

#define ACTIVATION(Real, suffix)                                                                                            \
    EXPORT void gelu_forward_##suffix(const Real* x, Real* y, long count, long threads) {                                   \
        everywhere<Real>(count, threads, [&](long i, auto width) { store(y + i, gelu<Real>(load(x + i, width)), width); }); \
    }                                                                                                                       \
    EXPORT void gelu_backward_##suffix(const Real* x, const Real* grad, Real* dx, long count, long threads) {               \
        everywhere<Real>(count, threads, [&](long i, auto width) {                                                          \
            Vector<Real> value = load(x + i, width);                                                                        \
            store(dx + i, load(grad + i, width) * (share_below<Real>(value) + gelu_density<Real>(value)), width);           \
        });                                                                                                                 \
    }                                                                                                                       \
    EXPORT void gelu_gate_forward_##suffix(const Real* x, Real* y, long rows, long width, long threads) {                   \
        gate(x, y, rows, width, threads);                                                                                   \
    }                                                                                                                       \
    EXPORT void gelu_gate_backward_##suffix(                                                                                \
        const Real* x, const Real* grad, Real* dx, long rows, long width, long threads) {                                   \
        gate_backward(x, grad, dx, rows, width, threads);                                                                   \
    }
ACTIVATION(float, f32)
ACTIVATION(double, f64)
