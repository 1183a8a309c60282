// Convolution by itself: each thread has a range of channels of all sequences.
#include "convolution.h"

namespace {

using namespace convolution;

Range range_of(long number, long threads, long channels, long lanes) {
    long share = (channels + threads - 1) / threads;
    share = (share + lanes - 1) / lanes * lanes;
    const long first = number * share < channels ? number * share : channels;
    return {first, channels - first < share ? channels - first : share};
}

template <class Real>
static void all_forward(const Convolution<Real>& conv, long taps, Real* y, long y_row, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const Range range = range_of(number, threads, conv.channels, LANES<Real>);
        for (long s = 0; s < conv.sequences; s++) forward<Real>(conv, taps, range, s, {y, y_row, nullptr});
    }
}

template <class Real>
static void all_backward(const Convolution<Real>& conv, const Gradients<Real>& g, long taps, long threads) {
    memset(g.d_weight, 0, taps * conv.channels * sizeof(Real));
    memset(g.d_bias, 0, conv.channels * sizeof(Real));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const Range range = range_of(number, threads, conv.channels, LANES<Real>);
        Scratch<Real> scratch(taps * padded<Real>(range.count));
        for (long s = 0; s < conv.sequences; s++) backward(conv, g, taps, range, s, scratch.take(0));
    }
}

}  // namespace

#define CONVOLUTION(Real, suffix)                                                                                                     \
    EXPORT void convolution_forward_##suffix(                                                                                          \
        const Real* x, const Real* weight, const Real* bias, const int64_t* begins, Real* y, long x_row, long sequences, long channels, \
        long taps, long ahead, long activated, long y_row, long threads) {                                                             \
        Convolution<Real> conv{sequences, begins, channels, ahead, activated, x, x_row, weight, bias};                                 \
        all_forward(conv, taps, y, y_row, threads);                                                                                    \
    }                                                                                                                                  \
    EXPORT void convolution_backward_##suffix(                                                                                         \
        const Real* x, const Real* weight, const Real* bias, const int64_t* begins, const Real* grad, Real* dx, Real* d_weight,        \
        Real* d_bias, long x_row, long sequences, long channels, long taps, long ahead, long activated, long grad_row, long dx_row,    \
        long threads) {                                                                                                                \
        Convolution<Real> conv{sequences, begins, channels, ahead, activated, x, x_row, weight, bias};                                 \
        Gradients<Real> g{grad, grad_row, dx, dx_row, d_weight, d_bias, nullptr};                                                      \
        all_backward(conv, g, taps, threads);                                                                                          \
    }
CONVOLUTION(float, f32)
CONVOLUTION(double, f64)
