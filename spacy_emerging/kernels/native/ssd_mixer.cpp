// The mixer of Mamba-2 by itself, sequence by sequence.
#include "ssd_mixer.h"

namespace {

using namespace ssd;

// local: (threads, longest, channels), working memory.
template <class Real>
static void all_forward(
    const Mixer<Real>& m, const States<Real>& states, Real* y, Real* normed, Real* scales, Real* local, long longest, Real epsilon,
    long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Table<Real> table(m.scan);
        Real* convolved = local + number * longest * m.channels();
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            mix_sequence(m, table, s, states, y, normed, scales, convolved, epsilon);
        });
    }
}

// Gradients of the weights: one of each per thread. local: (threads, longest, 3 channels + inner), working memory.
template <class Real>
static void all_backward(
    const Mixer<Real>& m, const States<Real>& states, const Real* y, const Real* scales, const Real* grad, const MixerGradients<Real>& found,
    Real* d_norm_weight, Real* local, long longest, long threads) {
    const long inner = m.inner(), channels = m.channels();
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        MixerDesk<Real> desk(m, local + number * longest * (3 * channels + inner), longest, d_norm_weight + number * inner);
        MixerGradients<Real> own = found;
        own.conv_weight = cleared(found.conv_weight, m.taps * channels, number);
        own.conv_bias = cleared(found.conv_bias, channels, number);
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            back_through_sequence(m, desk, s, states, y, scales, grad, own);
        });
    }
}

}  // namespace

#define MIXER(Real, suffix)                                                                                                           \
    EXPORT void ssd_mixer_forward_##suffix(                                                                                           \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,    \
        const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, Real* y, Real* normed,             \
        Real* scales, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest, \
        double epsilon, long threads) {                                                                                               \
        Mixer<Real> m(                                                                                                                \
            projected, conv_weight, conv_bias, dt, rate, skip, norm_weight, begins, row, sequences, heads, width, state, chunk, taps); \
        all_forward<Real>(m, {state_begins, states, nullptr, nullptr}, y, normed, scales, local, longest, (Real)epsilon, threads);    \
    }                                                                                                                                 \
    EXPORT void ssd_mixer_backward_##suffix(                                                                                          \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,    \
        const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, const Real* y, const Real* scales, \
        const Real* grad, Real* d_projected, Real* d_conv_weight, Real* d_conv_bias, Real* d_norm_weight, Real* d_dt, Real* d_rate,   \
        Real* d_skip, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest, \
        long threads) {                                                                                                               \
        Mixer<Real> m(                                                                                                                \
            projected, conv_weight, conv_bias, dt, rate, skip, norm_weight, begins, row, sequences, heads, width, state, chunk, taps); \
        all_backward<Real>(                                                                                                           \
            m, {state_begins, states, nullptr, nullptr}, y, scales, grad,                                                             \
            {d_projected, d_conv_weight, d_conv_bias, nullptr, d_dt, d_rate, d_skip}, d_norm_weight, local, longest, threads);        \
    }
MIXER(float, f32)
MIXER(double, f64)
