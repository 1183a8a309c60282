// The mixer of Hydra by itself, sequence by sequence.
#include "quasiseparable_mixer.h"

namespace {

using namespace quasiseparable;

// local: (threads, longest, local_row), working memory.
template <class Real>
static void all_forward(
    const Mixer<Real>& m, const States<Real>& states, Real* diagonal, Real* y, Real* normed, Real* scales, Real* local, long longest,
    Real epsilon, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        MixerTable<Real> table(m, local + number * longest * m.local_row(), longest);
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            mix_sequence(m, table, s, states, diagonal, y, normed, scales, epsilon);
        });
    }
}

// local: (threads, longest, 3 local_row + inner), working memory. grad: of what was normed.
template <class Real>
static void all_backward(
    const Mixer<Real>& m, const States<Real>& states, const Real* diagonal, const Real* y, const Real* scales, const Real* grad,
    const Gradients<Real>& found, Real* local, long longest, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        const Gradients<Real> own = found.of(m, number);
        MixerDesk<Real> desk(m, local + number * longest * (3 * m.local_row() + m.inner()), longest, own.norm_weight);
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            back_through_sequence(m, desk, s, states, diagonal, y, scales, grad, own);
        });
    }
}

}  // namespace

#define MIXER(Real, suffix)                                                                                                            \
    EXPORT void quasiseparable_mixer_forward_##suffix(                                                                                 \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* d_weight, \
        const Real* d_bias, const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, Real* diagonal, \
        Real* y, Real* normed, Real* scales, Real* local, long row, long sequences, long heads, long width, long state, long chunk,    \
        long taps, long longest, long chunks, double epsilon, long threads) {                                                          \
        Mixer<Real> m(                                                                                                                 \
            projected, conv_weight, conv_bias, dt, rate, d_weight, d_bias, norm_weight, begins, row, sequences, heads, width, state,   \
            chunk, taps);                                                                                                              \
        all_forward<Real>(                                                                                                             \
            m, {state_begins, states, chunks * m.inner() * state}, diagonal, y, normed, scales, local, longest, (Real)epsilon,         \
            threads);                                                                                                                  \
    }                                                                                                                                  \
    EXPORT void quasiseparable_mixer_backward_##suffix(                                                                                \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* d_weight, \
        const Real* d_bias, const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states,                 \
        const Real* diagonal, const Real* y, const Real* scales, const Real* grad, Real* d_projected, Real* d_conv_weight,             \
        Real* d_conv_bias, Real* d_diagonal_weight, Real* d_diagonal_bias, Real* d_norm_weight, Real* d_dt, Real* d_rate,              \
        Real* d_skip, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest,  \
        long chunks, long threads) {                                                                                                   \
        Mixer<Real> m(                                                                                                                 \
            projected, conv_weight, conv_bias, dt, rate, d_weight, d_bias, norm_weight, begins, row, sequences, heads, width, state,   \
            chunk, taps);                                                                                                              \
        all_backward<Real>(                                                                                                            \
            m, {state_begins, states, chunks * m.inner() * state}, diagonal, y, scales, grad,                                          \
            {d_projected, d_conv_weight, d_conv_bias, d_diagonal_weight, d_diagonal_bias, d_norm_weight, nullptr, d_dt, d_rate,        \
             d_skip},                                                                                                                  \
            local, longest, threads);                                                                                                  \
    }
MIXER(float, f32)
MIXER(double, f64)
