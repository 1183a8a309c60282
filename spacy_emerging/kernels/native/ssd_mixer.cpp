// The mixer of Mamba-2 sequence by sequence: convolution with SiLU, state-space duality, gated norm. What lies between them stays in the
// caches where sequences are short; the backward pass makes it anew instead of reading it from memory.
#include "convolution.h"
#include "norm.h"
#include "ssd_back.h"
#include "units.h"

namespace {

template <class Real>
struct Mixer {
    const Real* projected;  // (T, row): z, x, B, C and more
    long row;
    convolution::Convolution<Real> conv;  // of x, B and C
    long taps;
    ssd::Problem<Real> scan;  // x, b, c are set for each sequence
    const Real* norm_weight;

    long inner() const { return scan.heads * scan.width; }
    long channels() const { return conv.channels; }
    long begin(long sequence) const { return scan.begins[sequence]; }

    // The scan of one sequence whose convolved rows lie at `local`; tokens are counted over all sequences.
    ssd::Problem<Real> scan_of(long sequence, const Real* local) const {
        ssd::Problem<Real> own = scan;
        own.row = channels();
        own.x = local - begin(sequence) * own.row;
        own.b = own.x + inner();
        own.c = own.b + scan.state;
        return own;
    }
};

// local: (threads, longest, channels), working memory.
template <class Real>
static void forward(
    const Mixer<Real>& m, const ssd::States<Real>& states, Real* y, Real* normed, Real* scales, Real* local, long longest, Real epsilon,
    long threads) {
    const long inner = m.inner();
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        ssd::Table<Real> table(m.scan);
        Real* convolved = local + number * longest * m.channels();
        each_sequence(m.scan.sequences, threads, number, [&](long s) {
            convolution::forward<Real>(m.conv, m.taps, {0, m.channels()}, s, {convolved - m.begin(s) * m.channels(), m.channels(), nullptr});
            ssd::forward(m.scan_of(s, convolved), table, s, states, {y, inner, 0});
            for (long t = m.begin(s); t < m.begin(s + 1); t++)
                scales[t] =
                    norm::forward<norm::BEFORE>(y + t * inner, m.projected + t * m.row, m.norm_weight, normed + t * inner, inner, epsilon);
        });
    }
}

// Where gradients go. projected: as what it is of. conv_weight, conv_bias, norm_weight: one of each per thread. The others as in ssd_back.h.
template <class Real>
struct Found {
    Real *projected, *conv_weight, *conv_bias, *norm_weight, *dt, *rate, *skip;
};

// local: (threads, longest, 3 channels + inner), working memory. grad: of what was normed.
template <class Real>
static void backward(
    const Mixer<Real>& m, const ssd::States<Real>& states, const Real* y, const Real* scales, const Real* grad, const Found<Real>& found,
    Real* local, long longest, long threads) {
    const long inner = m.inner(), channels = m.channels();
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        ssd::Desk<Real> desk(m.scan);
        Scratch<Real> scratch(m.taps * padded<Real>(channels));
        Real *d_conv_weight = found.conv_weight + number * m.taps * channels, *d_conv_bias = found.conv_bias + number * channels;
        memset(d_conv_weight, 0, m.taps * channels * sizeof(Real));
        memset(d_conv_bias, 0, channels * sizeof(Real));
        norm::Space<Real> space(inner, found.norm_weight + number * inner);
        Real* convolved = local + number * longest * (3 * channels + inner);
        Real *slope = convolved + longest * channels, *d_convolved = slope + longest * channels, *d_y = d_convolved + longest * channels;
        each_sequence(m.scan.sequences, threads, number, [&](long s) {
            const long begin = m.begin(s);
            Real* slope_of_first = slope - begin * channels;
            convolution::forward<Real>(m.conv, m.taps, {0, channels}, s, {convolved - begin * channels, channels, slope_of_first});
            for (long t = begin; t < m.begin(s + 1); t++)
                norm::backward<norm::BEFORE>(
                    y + t * inner, m.projected + t * m.row, m.norm_weight, scales[t], grad + t * inner, d_y + (t - begin) * inner,
                    found.projected + t * m.row, space, inner);
            Real* d_x = d_convolved - begin * channels;
            ssd::backward<Real>(
                m.scan_of(s, convolved), desk, s, {states.begins, states.before, d_y - begin * inner, inner},
                {d_x, d_x + inner, d_x + inner + m.scan.state, channels, 0, 0, found.dt, found.rate, found.skip});
            convolution::backward<Real>(
                m.conv, {d_x, channels, found.projected + inner, m.row, d_conv_weight, d_conv_bias, slope_of_first}, m.taps, {0, channels}, s,
                scratch.take(0));
        });
    }
}

}  // namespace

#define MIXER(Real, suffix)                                                                                                            \
    static Mixer<Real> mixer_of(                                                                                                       \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,      \
        const Real* norm_weight, const int64_t* begins, long row, long sequences, long heads, long width, long state, long chunk,      \
        long taps) {                                                                                                                   \
        const long inner = heads * width;                                                                                              \
        return {                                                                                                                       \
            projected, row, {sequences, begins, inner + 2 * state, 0, 1, projected + inner, row, conv_weight, conv_bias}, taps,        \
            {sequences, begins, heads, width, state, chunk, 0, 0, 1, nullptr, nullptr, nullptr, 0, dt, rate, skip}, norm_weight};      \
    }                                                                                                                                  \
    EXPORT void ssd_mixer_forward_##suffix(                                                                                            \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,      \
        const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, Real* y, Real* normed,              \
        Real* scales, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest,  \
        double epsilon, long threads) {                                                                                                \
        auto mixer = mixer_of(                                                                                                         \
            projected, conv_weight, conv_bias, dt, rate, skip, norm_weight, begins, row, sequences, heads, width, state, chunk, taps); \
        forward<Real>(mixer, {state_begins, states, nullptr, nullptr}, y, normed, scales, local, longest, (Real)epsilon, threads);     \
    }                                                                                                                                  \
    EXPORT void ssd_mixer_backward_##suffix(                                                                                           \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,      \
        const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, const Real* y, const Real* scales,  \
        const Real* grad, Real* d_projected, Real* d_conv_weight, Real* d_conv_bias, Real* d_norm_weight, Real* d_dt, Real* d_rate,    \
        Real* d_skip, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest,  \
        long threads) {                                                                                                                \
        auto mixer = mixer_of(                                                                                                         \
            projected, conv_weight, conv_bias, dt, rate, skip, norm_weight, begins, row, sequences, heads, width, state, chunk, taps); \
        backward<Real>(                                                                                                                \
            mixer, {state_begins, states, nullptr, nullptr}, y, scales, grad,                                                          \
            {d_projected, d_conv_weight, d_conv_bias, d_norm_weight, d_dt, d_rate, d_skip}, local, longest, threads);                  \
    }
MIXER(float, f32)
MIXER(double, f64)
