// The mixer of Hydra sequence by sequence: convolution with SiLU, a state-space duality from either side and the diagonal, gated norm. Like
// that of Mamba-2 in ssd_mixer.cpp.
#include "convolution.h"
#include "norm.h"
#include "ssd_back.h"
#include "units.h"

namespace {

// What belongs to both sides lies side by side: columns of B and C, (2, T, H) steps, (2, sequences, H) results, (2, chunks, H, N, P) states.
template <class Real>
struct Mixer {
    const Real* projected;  // (T, row): z, x, B and C of either side, and more
    long row;
    convolution::Convolution<Real> conv;  // of all but z
    long taps;
    ssd::Problem<Real> scan;  // x, b, c are set for each sequence
    const Real *diagonal_weight, *diagonal_bias, *norm_weight;

    long inner() const { return scan.heads * scan.width; }
    long channels() const { return conv.channels; }
    long begin(long sequence) const { return scan.begins[sequence]; }
    long length(long sequence) const { return begin(sequence + 1) - begin(sequence); }
    long tokens() const { return begin(scan.sequences); }

    // One side of one sequence whose convolved rows lie at `local`; tokens are counted over all sequences.
    ssd::Problem<Real> scan_of(long side, long sequence, const Real* local) const {
        ssd::Problem<Real> own = scan;
        own.reverse = side;
        own.row = channels();
        own.x = local - begin(sequence) * own.row;
        own.b = own.x + inner() + 2 * side * scan.state;
        own.c = own.b + scan.state;
        own.dt = scan.dt + side * tokens() * scan.heads;
        return own;
    }
};

// The diagonal's weights, (inner, H) in rows of whole vectors, and room for as many numbers per token.
template <class Real>
struct Diagonal {
    long row;
    Scratch<Real> scratch;
    Real *weight, *numbers;

    Diagonal(const Mixer<Real>& m, long longest)
        : row(padded<Real>(m.scan.heads)),
          scratch((m.inner() + longest) * row),
          weight(scratch.take(m.inner() * row)),
          numbers(scratch.take(longest * row)) {
        transpose((int)m.scan.heads, (int)m.inner(), m.diagonal_weight, m.inner(), weight, row);
    }
    // Of the tokens of one sequence, to `found`, (T, H).
    void of(const Mixer<Real>& m, long sequence, const Real* x, Real* found) const {
        const long heads = m.scan.heads, length = m.length(sequence);
        product<false>((int)length, (int)row, (int)m.inner(), x, m.channels(), 1, weight, row, numbers, row);
        for (long t = 0; t < length; t++)
            for (long h = 0; h < heads; h++) found[(m.begin(sequence) + t) * heads + h] = numbers[t * row + h] + m.diagonal_bias[h];
    }
};

// Rows times a number per head.
template <class Real>
static void by_heads(const Mixer<Real>& m, long tokens, const Real* from, long from_row, const Real* by, Real* to, long to_row) {
    const long heads = m.scan.heads, width = m.scan.width;
    for (long t = 0; t < tokens; t++)
        for (long h = 0; h < heads; h++) {
            const Real factor = by[t * heads + h], *source = from + t * from_row + h * width;
            Real* target = to + t * to_row + h * width;
            each_vector<Real>(width, [&](long j, auto part) { store(target + j, factor * load(source + j, part), part); });
        }
}

// local: (threads, longest, channels), working memory. chunks: the number of all.
template <class Real>
static void forward(
    const Mixer<Real>& m, const int64_t* state_begins, Real* states, long chunks, Real* diagonal, Real* y, Real* normed, Real* scales,
    Real* local, long longest, Real epsilon, long threads) {
    const long inner = m.inner(), channels = m.channels(), of_side = chunks * inner * m.scan.state;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        ssd::Table<Real> table(m.scan);
        Diagonal<Real> own(m, longest);
        Real* convolved = local + number * longest * channels;
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            const long begin = m.begin(s);
            convolution::forward<Real>(m.conv, m.taps, {0, channels}, s, {convolved - begin * channels, channels, nullptr});
            own.of(m, s, convolved, diagonal);
            by_heads(m, m.length(s), convolved, channels, diagonal + begin * m.scan.heads, y + begin * inner, inner);
            for (long side = 0; side < 2; side++)
                ssd::forward<Real>(
                    m.scan_of(side, s, convolved), table, s,
                    {state_begins, states ? states + side * of_side : nullptr, nullptr, nullptr}, {y, inner, 1});
            for (long t = begin; t < m.begin(s + 1); t++)
                scales[t] =
                    norm::forward<norm::AFTER>(y + t * inner, m.projected + t * m.row, m.norm_weight, normed + t * inner, inner, epsilon);
        });
    }
}

// Where gradients go. projected: as what it is of. The next five: one of each per thread. The others as in ssd_back.h, of both sides.
template <class Real>
struct Found {
    Real *projected, *conv_weight, *conv_bias, *diagonal_weight, *diagonal_bias, *norm_weight, *dt, *rate, *skip;

    // What belongs to one thread, all zero.
    Found of(const Mixer<Real>& m, long number) const {
        Found own = *this;
        own.conv_weight = cleared(conv_weight, m.taps * m.channels(), number);
        own.conv_bias = cleared(conv_bias, m.channels(), number);
        own.diagonal_weight = cleared(diagonal_weight, m.scan.heads * m.inner(), number);
        own.diagonal_bias = cleared(diagonal_bias, m.scan.heads, number);
        own.norm_weight = norm_weight + number * m.inner();
        return own;
    }
};

// Through the diagonal of one sequence: writes d_x, and adds to the gradients of weights and biases.
template <class Real>
static void through_diagonal(
    const Mixer<Real>& m, Diagonal<Real>& own, const Found<Real>& g, long tokens, const Real* diagonal, const Real* x, const Real* d_y,
    Real* d_x) {
    const long heads = m.scan.heads, width = m.scan.width, inner = m.inner(), channels = m.channels();
    by_heads(m, tokens, d_y, inner, diagonal, d_x, channels);
    for (long t = 0; t < tokens; t++)
        for (long h = 0; h < heads; h++) {
            const Real along = ::inner((int)width, d_y + t * inner + h * width, x + t * channels + h * width);
            own.numbers[t * own.row + h] = along;
            g.diagonal_bias[h] += along;
        }
    product<true>((int)tokens, (int)inner, (int)heads, own.numbers, own.row, 1, m.diagonal_weight, inner, d_x, channels);
    product<true>((int)heads, (int)inner, (int)tokens, own.numbers, 1, own.row, x, channels, g.diagonal_weight, inner);
}

// local: (threads, longest, 3 channels + inner), working memory. grad: of what was normed.
template <class Real>
static void backward(
    const Mixer<Real>& m, const int64_t* state_begins, const Real* states, long chunks, const Real* diagonal, const Real* y,
    const Real* scales, const Real* grad, const Found<Real>& found, Real* local, long longest, long threads) {
    const long inner = m.inner(), channels = m.channels(), heads = m.scan.heads, of_side = chunks * inner * m.scan.state;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        ssd::Desk<Real> desk(m.scan);
        Diagonal<Real> own(m, longest);
        Scratch<Real> waiting(m.taps * padded<Real>(channels));
        const Found<Real> g = found.of(m, number);
        norm::Space<Real> space(inner, g.norm_weight);
        Real* convolved = local + number * longest * (3 * channels + inner);
        Real *slope = convolved + longest * channels, *d_convolved = slope + longest * channels, *d_y = d_convolved + longest * channels;
        each_sequence(m.scan.begins, m.scan.sequences, threads, number, [&](long s) {
            const long begin = m.begin(s);
            Real* slope_of_first = slope - begin * channels;
            convolution::forward<Real>(m.conv, m.taps, {0, channels}, s, {convolved - begin * channels, channels, slope_of_first});
            for (long t = begin; t < m.begin(s + 1); t++)
                norm::backward<norm::AFTER>(
                    y + t * inner, m.projected + t * m.row, m.norm_weight, scales[t], grad + t * inner, d_y + (t - begin) * inner,
                    g.projected + t * m.row, space, inner);
            through_diagonal(m, own, g, m.length(s), diagonal + begin * heads, convolved, d_y, d_convolved);
            for (long side = 0; side < 2; side++) {
                Real *d_x = d_convolved - begin * channels, *d_b = d_x + inner + 2 * side * m.scan.state;
                const long of_steps = side * m.tokens() * heads, of_sequences = side * m.scan.sequences * heads;
                ssd::backward<Real>(
                    m.scan_of(side, s, convolved), desk, s, {state_begins, states + side * of_side, d_y - begin * inner, inner},
                    {d_x, d_b, d_b + m.scan.state, channels, 0, 1, g.dt + of_steps, g.rate + of_sequences, g.skip + of_sequences});
            }
            convolution::backward<Real>(
                m.conv, {d_convolved - begin * channels, channels, g.projected + inner, m.row, g.conv_weight, g.conv_bias, slope_of_first},
                m.taps, {0, channels}, s, waiting.take(0));
        });
    }
}

}  // namespace

#define MIXER(Real, suffix)                                                                                                            \
    static Mixer<Real> mixer_of(                                                                                                       \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* d_weight, \
        const Real* d_bias, const Real* norm_weight, const int64_t* begins, long row, long sequences, long heads, long width,          \
        long state, long chunk, long taps) {                                                                                           \
        const long inner = heads * width;                                                                                              \
        return {                                                                                                                       \
            projected, row, {sequences, begins, inner + 4 * state, taps / 2, 1, projected + inner, row, conv_weight, conv_bias}, taps, \
            {sequences, begins, heads, width, state, chunk, 0, 1, 1, nullptr, nullptr, nullptr, 0, dt, rate, nullptr}, d_weight,       \
            d_bias, norm_weight};                                                                                                      \
    }                                                                                                                                  \
    EXPORT void quasiseparable_mixer_forward_##suffix(                                                                                 \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* d_weight, \
        const Real* d_bias, const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, Real* states, Real* diagonal, \
        Real* y, Real* normed, Real* scales, Real* local, long row, long sequences, long heads, long width, long state, long chunk,    \
        long taps, long longest, long chunks, double epsilon, long threads) {                                                          \
        auto mixer = mixer_of(                                                                                                         \
            projected, conv_weight, conv_bias, dt, rate, d_weight, d_bias, norm_weight, begins, row, sequences, heads, width, state,   \
            chunk, taps);                                                                                                              \
        forward<Real>(                                                                                                                 \
            mixer, state_begins, states, chunks, diagonal, y, normed, scales, local, longest, (Real)epsilon, threads);                 \
    }                                                                                                                                  \
    EXPORT void quasiseparable_mixer_backward_##suffix(                                                                                \
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* d_weight, \
        const Real* d_bias, const Real* norm_weight, const int64_t* begins, const int64_t* state_begins, const Real* states,           \
        const Real* diagonal, const Real* y, const Real* scales, const Real* grad, Real* d_projected, Real* d_conv_weight,             \
        Real* d_conv_bias, Real* d_diagonal_weight, Real* d_diagonal_bias, Real* d_norm_weight, Real* d_dt, Real* d_rate,              \
        Real* d_skip, Real* local, long row, long sequences, long heads, long width, long state, long chunk, long taps, long longest,  \
        long chunks, long threads) {                                                                                                   \
        auto mixer = mixer_of(                                                                                                         \
            projected, conv_weight, conv_bias, dt, rate, d_weight, d_bias, norm_weight, begins, row, sequences, heads, width, state,   \
            chunk, taps);                                                                                                              \
        backward<Real>(                                                                                                                \
            mixer, state_begins, states, chunks, diagonal, y, scales, grad,                                                            \
            {d_projected, d_conv_weight, d_conv_bias, d_diagonal_weight, d_diagonal_bias, d_norm_weight, d_dt, d_rate, d_skip},        \
            local, longest, threads);                                                                                                  \
    }
MIXER(float, f32)
MIXER(double, f64)
