// The mixer of Hydra over one sequence: convolution with SiLU, a state-space duality from either side and the diagonal, gated norm. Like
// that of Mamba-2 in ssd_mixer.h.
#pragma once

#include "convolution.h"
#include "norm.h"
#include "ssd_back.h"
#include "units.h"

namespace quasiseparable {

// What belongs to both sides lies side by side: columns of B and C, (2, T, H) steps, (2, sequences, H) results, (2, chunks, H, N, P)
// states.
template <class Real>
struct Mixer {
    const Real* projected;  // (T, row): z, x, B and C of either side, and more
    long row;
    convolution::Convolution<Real> conv;  // of all but z
    long taps;
    ssd::Problem<Real> scan;  // x, b, c are set for each sequence
    const Real *diagonal_weight, *diagonal_bias, *norm_weight;
    long from_side_to_side;  // numbers from the steps of one side to those of the other, and from gradient to gradient

    Mixer(
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate,
        const Real* diagonal_weight, const Real* diagonal_bias, const Real* norm_weight, const int64_t* begins, long row, long sequences,
        long heads, long width, long state, long chunk, long taps)
        : projected(projected),
          row(row),
          conv{sequences, begins, heads * width + 4 * state, taps / 2, 1, nullptr, row, conv_weight, conv_bias},
          taps(taps),
          scan{sequences, begins, heads, width, state, chunk, 0, 1, 1, nullptr, nullptr, nullptr, 0, dt, rate, nullptr},
          diagonal_weight(diagonal_weight),
          diagonal_bias(diagonal_bias),
          norm_weight(norm_weight),
          from_side_to_side(begins[sequences] * heads) {
        conv.x = projected + inner();
    }
    long inner() const { return scan.heads * scan.width; }
    long channels() const { return conv.channels; }
    long local_row() const { return spread<Real>(channels()); }  // of what is convolved, and of its gradient
    long begin(long sequence) const { return scan.begins[sequence]; }
    long length(long sequence) const { return begin(sequence + 1) - begin(sequence); }

    // One side of one sequence whose convolved rows lie at `local`; tokens are counted over all sequences.
    ssd::Problem<Real> scan_of(long side, long sequence, const Real* local) const {
        ssd::Problem<Real> own = scan;
        own.reverse = side;
        own.row = local_row();
        own.x = local - begin(sequence) * own.row;
        own.b = own.x + inner() + 2 * side * scan.state;
        own.c = own.b + scan.state;
        own.dt = scan.dt + side * from_side_to_side;
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
        product<false>((int)length, (int)row, (int)m.inner(), x, m.local_row(), 1, weight, row, numbers, row);
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

// Where states before chunks are kept, those of the second side so many numbers after those of the first; or none.
template <class Real>
struct States {
    const int64_t* begins;
    Real* before;
    long of_side;

    Real* of(long side) const { return before ? before + side * of_side : nullptr; }
};

// What a forward pass works with, per thread.
template <class Real>
struct MixerTable {
    ssd::Table<Real> table;
    Diagonal<Real> diagonal;
    Real* convolved;

    // local: (longest, local_row).
    MixerTable(const Mixer<Real>& m, Real* local, long longest) : table(m.scan), diagonal(m, longest), convolved(local) {}
};

// diagonal: (T, H), y, normed: (T, inner), scales: (T), written where the sequence lies.
template <class Real>
static void mix_sequence(
    const Mixer<Real>& m, MixerTable<Real>& d, long s, const States<Real>& states, Real* diagonal, Real* y, Real* normed, Real* scales,
    Real epsilon) {
    const long begin = m.begin(s), inner = m.inner(), row = m.local_row();
    convolution::forward<Real>(m.conv, m.taps, {0, m.channels()}, s, {d.convolved - begin * row, row, nullptr});
    d.diagonal.of(m, s, d.convolved, diagonal);
    by_heads(m, m.length(s), d.convolved, row, diagonal + begin * m.scan.heads, y + begin * inner, inner);
    for (long side = 0; side < 2; side++)
        ssd::forward<Real>(
            m.scan_of(side, s, d.convolved), d.table, s, {states.begins, states.of(side), nullptr, nullptr}, {y, inner, 1});
    for (long t = begin; t < m.begin(s + 1); t++)
        scales[t] = norm::forward<norm::AFTER>(y + t * inner, m.projected + t * m.row, m.norm_weight, normed + t * inner, inner, epsilon);
}

// Where gradients go. projected: as what it is of, but for its steps. The next five: one of each per thread, added up. normed: gets what
// was normed anew, or none. The others as in ssd_back.h, of both sides.
template <class Real>
struct Gradients {
    Real *projected, *conv_weight, *conv_bias, *diagonal_weight, *diagonal_bias, *norm_weight, *normed, *dt, *rate, *skip;

    // What belongs to one thread, all zero.
    Gradients of(const Mixer<Real>& m, long number) const {
        Gradients own = *this;
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
    const Mixer<Real>& m, Diagonal<Real>& own, const Gradients<Real>& g, long tokens, const Real* diagonal, const Real* x, const Real* d_y,
    Real* d_x) {
    const long heads = m.scan.heads, width = m.scan.width, inner = m.inner(), row = m.local_row();
    by_heads(m, tokens, d_y, inner, diagonal, d_x, row);
    for (long t = 0; t < tokens; t++)
        for (long h = 0; h < heads; h++) {
            const Real along = ::inner((int)width, d_y + t * inner + h * width, x + t * row + h * width);
            own.numbers[t * own.row + h] = along;
            g.diagonal_bias[h] += along;
        }
    product<true>((int)tokens, (int)inner, (int)heads, own.numbers, own.row, 1, m.diagonal_weight, inner, d_x, row);
    product<true>((int)heads, (int)inner, (int)tokens, own.numbers, 1, own.row, x, row, g.diagonal_weight, inner);
}

// What a backward pass over sequences works with, per thread.
template <class Real>
struct MixerDesk {
    ssd::Desk<Real> desk;
    Diagonal<Real> diagonal;
    norm::Space<Real> space;
    Scratch<Real> waiting;
    Real *convolved, *slope, *d_convolved, *d_y;

    // local: (longest, 3 local_row + inner). d_norm_weight: (inner), cleared.
    MixerDesk(const Mixer<Real>& m, Real* local, long longest, Real* d_norm_weight)
        : desk(m.scan),
          diagonal(m, longest),
          space(m.inner(), d_norm_weight),
          waiting(m.taps * padded<Real>(m.channels())),
          convolved(local),
          slope(local + longest * m.local_row()),
          d_convolved(slope + longest * m.local_row()),
          d_y(d_convolved + longest * m.local_row()) {}
};

// grad: of what was normed, (T, inner).
template <class Real>
static void back_through_sequence(
    const Mixer<Real>& m, MixerDesk<Real>& d, long s, const States<Real>& states, const Real* diagonal, const Real* y, const Real* scales,
    const Real* grad, const Gradients<Real>& g) {
    const long begin = m.begin(s), inner = m.inner(), row = m.local_row(), heads = m.scan.heads;
    Real *slope_of_first = d.slope - begin * row, *d_x = d.d_convolved - begin * row;
    convolution::forward<Real>(m.conv, m.taps, {0, m.channels()}, s, {d.convolved - begin * row, row, slope_of_first});
    for (long t = begin; t < m.begin(s + 1); t++)
        norm::backward<norm::AFTER>(
            y + t * inner, m.projected + t * m.row, m.norm_weight, scales[t], grad + t * inner, d.d_y + (t - begin) * inner,
            g.projected + t * m.row, d.space, inner, g.normed ? g.normed + t * inner : nullptr);
    through_diagonal(m, d.diagonal, g, m.length(s), diagonal + begin * heads, d.convolved, d.d_y, d.d_convolved);
    for (long side = 0; side < 2; side++) {
        Real* d_b = d_x + inner + 2 * side * m.scan.state;
        const long of_steps = side * m.from_side_to_side, of_sequences = side * m.scan.sequences * heads;
        ssd::backward<Real>(
            m.scan_of(side, s, d.convolved), d.desk, s, {states.begins, states.of(side), d.d_y - begin * inner, inner},
            {d_x, d_b, d_b + m.scan.state, row, 0, 1, g.dt + of_steps, g.rate + of_sequences, g.skip + of_sequences});
    }
    convolution::backward<Real>(
        m.conv, {d_x, row, g.projected + inner, m.row, g.conv_weight, g.conv_bias, slope_of_first}, m.taps, {0, m.channels()}, s,
        d.waiting.take(0));
}

}  // namespace quasiseparable
