// A Transformer block whose norms are scaled and shifted, and whose branches are gated, token by token (arXiv 2212.09748, adaLN-Zero): the
// forward pass of prediction. Sequences are worked on in groups, so small that what lies between the layers stays in the cache.
#include "gelu.h"
#include "moments.h"
#include "panels.h"

namespace {

constexpr long GROUP = 2 * ROWS;     // tokens from which a group of sequences is large enough
constexpr long QUERIES = 4 * STRIP;  // tokens that look at the others at a time
constexpr long KEYS = 256;           // tokens that are looked at at a time
constexpr long AHEAD = 8;            // tokens from one whose modulation is read to one whose is asked for

// Parts, of `width` numbers each, of every token, to which is added what is the same for all tokens.
template <class Real>
struct Modulation {
    const Real* tokens;      // (count, parts * width), in rows so far apart
    const Real* common;      // (parts * width)
    long row, count, width;  // tokens from `count` on begin again at the first one

    // The parts of a token. Those of one that comes later are asked for: they lie far away.
    const Real* of(long token, long part, long parts) const {
        const Real* later = tokens + (token + AHEAD) % count * row + part * width;
        for (long c = 0; c < parts * width; c += 64 / (long)sizeof(Real)) __builtin_prefetch(later + c);
        return tokens + token % count * row;
    }
    template <class Width>
    Vector<Real> at(const Real* own, long part, long c, Width many) const {
        return load(own + part * width + c, many) + load(common + part * width + c, many);
    }
};

// Layer norm of `count` rows from token `first` on, times a part of the modulation and plus the next one.
template <class Real>
static void modulated(const Modulation<Real>& m, long first, long count, long part, const Real* x, Real* y, Real epsilon) {
    const long width = m.width;
    for (long t = 0; t < count; t++, x += width, y += width) {
        const Real* own = m.of(first + t, part, 2);
        Real mean, scale;
        moments(x, width, epsilon, mean, scale);
        each_vector<Real>(width, [&](long c, auto many) {
            const Vector<Real> normed = (load(x + c, many) - mean) * scale;
            store(y + c, normed * m.at(own, part, c, many) + m.at(own, part + 1, c, many), many);
        });
    }
}

// x += a part of the modulation times y.
template <class Real>
static void add_gated(const Modulation<Real>& m, long first, long count, long part, const Real* y, Real* x) {
    for (long t = 0; t < count; t++) {
        const Real* own = m.of(first + t, part, 1);
        each_vector<Real>(m.width, [&](long c, auto many) {
            Real* to = x + t * m.width + c;
            store(to, load(to, many) + m.at(own, part, c, many) * load(y + t * m.width + c, many), many);
        });
    }
}

// Working memory of attention in sequences of up to `longest` tokens.
template <class Real>
struct Attention {
    Scratch<Real> scratch;
    Real *keys, *scores, *highest, *sums;

    Attention(long longest, long depth)
        : scratch(padded<Real>(longest) * depth + QUERIES * (KEYS + 2)),
          keys(scratch.take(padded<Real>(longest) * depth)),
          scores(scratch.take(QUERIES * KEYS)),
          highest(scratch.take(QUERIES)),
          sums(scratch.take(QUERIES)) {}
};

// Scores of one token to exp(factor * score - the highest so far), whose sum goes to `sum`; what was found before is scaled to fit.
template <class Real>
INLINE void soften(Real* scores, long keys, Real factor, Real& highest, Real& sum, Real* found, long depth) {
    const long whole = padded<Real>(keys);
    for (long k = keys; k < whole; k++) scores[k] = -INFINITY;
    Vector<Real> top = every(highest), total{};
    for (long k = 0; k < whole; k += LANES<Real>) top = larger(top, factor * load(scores + k, Whole{}));
    Real most = top[0];
    for (int i = 1; i < LANES<Real>; i++) most = top[i] > most ? top[i] : most;
    for (long k = 0; k < whole; k += LANES<Real>) {
        const Vector<Real> share = exponential(factor * load(scores + k, Whole{}) - most);
        store(scores + k, share, Whole{});
        total += share;
    }
    const Real kept = power_of_e(highest - most);
    sum = sum * kept + sum_of<Real>(total);
    if (kept != 1) each_vector<Real>(depth, [&](long c, auto many) { store(found + c, load(found + c, many) * kept, many); });
    highest = most;
}

// One head of one sequence: rows of queries, keys and values (length, depth), so far apart, to y. The shares of keys are never all kept.
template <class Real>
static void attend(const Attention<Real>& space, long length, long depth, const Real* q, const Real* k, const Real* v, long row, Real* y, long y_row) {
    const long keys_row = padded<Real>(length);
    const Real factor = 1 / root((Real)depth);
    transpose((int)length, (int)depth, k, row, space.keys, keys_row);
    for (long first = 0; first < length; first += QUERIES) {
        const long queries = length - first < QUERIES ? length - first : QUERIES;
        Real* found = y + first * y_row;
        for (long i = 0; i < queries; i++) {
            space.highest[i] = -INFINITY, space.sums[i] = 0;
            memset(found + i * y_row, 0, depth * sizeof(Real));
        }
        for (long from = 0; from < length; from += KEYS) {
            const long keys = length - from < KEYS ? length - from : KEYS;
            product<false>(
                (int)queries, (int)padded<Real>(keys), (int)depth, q + first * row, row, 1, space.keys + from, keys_row, space.scores, KEYS);
            for (long i = 0; i < queries; i++)
                soften(space.scores + i * KEYS, keys, factor, space.highest[i], space.sums[i], found + i * y_row, depth);
            product<true>((int)queries, (int)depth, (int)keys, space.scores, KEYS, 1, v + from * row, row, found, y_row);
        }
        for (long i = 0; i < queries; i++) {
            const Real share = 1 / space.sums[i];
            each_vector<Real>(depth, [&](long c, auto many) {
                Real* to = found + i * y_row + c;
                store(to, load(to, many) * share, many);
            });
        }
    }
}

template <class Real>
struct Layer {
    const Real *weight, *bias;  // (out, in), (out)
    long in, out;
    Real* panels;

    size_t numbers() const { return panel_numbers<Real>(in, out); }
    void lay_out(Scratch<Real>& scratch) {
        panels = scratch.take(numbers());
        transposed_to_panels(in, out, weight, panels);
    }
    void operator()(long count, const Real* x, Real* y) const {
        each_block(count, ROWS, 1, 0, [&](long first, long now) {
            rows_by_panels(now, out, in, x + first * in, in, panels, bias, y + first * out, out);
        });
    }
};

template <class Real>
struct Block {
    long width, inner, heads;
    Layer<Real> qkv, out, up, down;
    Modulation<Real> modulation;
    Real epsilon;
};

enum Kind { SCALE, SHIFT, GATE };  // of the modulation, first for attention, then for what comes after it
constexpr long AFTER = 3;

// Sequences of a group: tokens from `begins[0]` on.
template <class Real>
static void one_group(
    const Block<Real>& b, const int64_t* begins, long sequences, Real* x, const Attention<Real>& space, Real* normed, Real* wide) {
    const long begin = begins[0], count = begins[sequences] - begin, row = 3 * b.width, depth = b.width / b.heads;
    modulated(b.modulation, begin, count, SCALE, x, normed, b.epsilon);
    b.qkv(count, normed, wide);
    for (long s = 0; s < sequences; s++)
        for (long h = 0; h < b.heads; h++) {
            const long at = begins[s] - begin, length = begins[s + 1] - begins[s];
            const Real* q = wide + at * row + h * depth;
            attend(space, length, depth, q, q + b.width, q + 2 * b.width, row, normed + at * b.width + h * depth, b.width);
        }
    b.out(count, normed, wide);
    add_gated(b.modulation, begin, count, GATE, wide, x);
    modulated(b.modulation, begin, count, AFTER + SCALE, x, normed, b.epsilon);
    b.up(count, normed, wide);
    each_vector<Real>(count * b.inner, [&](long i, auto many) { store(wide + i, gelu<Real>(load(wide + i, many)), many); });
    b.down(count, wide, normed);
    add_gated(b.modulation, begin, count, AFTER + GATE, normed, x);
}

// x: (T, width), changed in place. begins: of each sequence, and the end of the last one.
template <class Real>
static void forward(Block<Real>& b, const int64_t* begins, long sequences, Real* x, long threads) {
    Scratch<Real> weights(b.qkv.numbers() + b.out.numbers() + b.up.numbers() + b.down.numbers());
    b.qkv.lay_out(weights), b.out.lay_out(weights), b.up.lay_out(weights), b.down.lay_out(weights);
    int64_t* groups = (int64_t*)malloc((sequences + 1) * sizeof(int64_t));  // first sequence of each, and the number of sequences
    long count = 0, longest = 0, most = 0;
    for (long s = 0; s < sequences; s++) {
        if (!s || begins[s] - begins[groups[count - 1]] >= GROUP) groups[count++] = s;
        const long length = begins[s + 1] - begins[s], tokens = begins[s + 1] - begins[groups[count - 1]];
        longest = length > longest ? length : longest;
        most = tokens > most ? tokens : most;
    }
    groups[count] = sequences;
    const long widest = b.inner > 3 * b.width ? b.inner : 3 * b.width;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch<Real> scratch(most * (b.width + widest));
        Real *normed = scratch.take(most * b.width), *wide = scratch.take(most * widest);
        const Attention<Real> space(longest, b.width / b.heads);
#pragma omp for schedule(dynamic)
        for (long g = 0; g < count; g++) {
            const int64_t* own = begins + groups[g];
            one_group(b, own, groups[g + 1] - groups[g], x + own[0] * b.width, space, normed, wide);
        }
    }
    free(groups);
}

template <class Real>
static void norm_alone(const Modulation<Real>& m, long rows, const Real* x, Real* y, Real epsilon, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++)
        each_block(rows, ROWS, threads, number, [&](long first, long count) {
            modulated(m, first, count, SCALE, x + first * m.width, y + first * m.width, epsilon);
        });
}

}  // namespace

#define ADAPTIVE_BLOCK(Real, suffix)                                                                                               \
    EXPORT void adaptive_block_forward_##suffix(                                                                                   \
        Real* x, const Real* tokens, const Real* common, const Real* qkv, const Real* qkv_bias, const Real* out,                   \
        const Real* out_bias, const Real* up, const Real* up_bias, const Real* down, const Real* down_bias, const int64_t* begins, \
        long row, long count, long sequences, long width, long inner, long heads, double epsilon, long threads) {                  \
        Block<Real> block{                                                                                                         \
            width,                                                                                                                 \
            inner,                                                                                                                 \
            heads,                                                                                                                 \
            {qkv, qkv_bias, width, 3 * width, nullptr},                                                                            \
            {out, out_bias, width, width, nullptr},                                                                                \
            {up, up_bias, width, inner, nullptr},                                                                                  \
            {down, down_bias, inner, width, nullptr},                                                                              \
            {tokens, common, row, count, width},                                                                                   \
            (Real)epsilon};                                                                                                        \
        forward(block, begins, sequences, x, threads);                                                                             \
    }                                                                                                                              \
    EXPORT void adaptive_norm_forward_##suffix(                                                                                    \
        const Real* x, const Real* tokens, const Real* common, Real* y, long row, long count, long rows, long width,               \
        double epsilon, long threads) {                                                                                            \
        norm_alone(Modulation<Real>{tokens, common, row, count, width}, rows, x, y, (Real)epsilon, threads);                       \
    }
ADAPTIVE_BLOCK(float, f32)
ADAPTIVE_BLOCK(double, f64)
