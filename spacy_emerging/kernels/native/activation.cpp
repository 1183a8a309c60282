// GELU over a flat array.
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
    }
ACTIVATION(float, f32)
ACTIVATION(double, f64)
