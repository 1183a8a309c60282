// The mixer of Mamba-2 over one sequence: convolution with SiLU, state-space duality, gated norm. What lies between them stays in the caches
// where the sequence is short; the backward pass makes it anew instead of reading it from memory.
#pragma once

#include "convolution.h"
#include "norm.h"
#include "ssd_back.h"
#include "units.h"

namespace ssd {

template <class Real>
struct Mixer {
    const Real* projected;  // (T, row): z, x, B and C, dt
    long row;
    convolution::Convolution<Real> conv;  // of x, B and C
    long taps;
    Problem<Real> scan;  // x, b, c are set for each sequence
    const Real* norm_weight;

    Mixer(
        const Real* projected, const Real* conv_weight, const Real* conv_bias, const Real* dt, const Real* rate, const Real* skip,
        const Real* norm_weight, const int64_t* begins, long row, long sequences, long heads, long width, long state, long chunk, long taps)
        : projected(projected),
          row(row),
          conv{sequences, begins, heads * width + 2 * state, 0, 1, nullptr, row, conv_weight, conv_bias},
          taps(taps),
          scan{sequences, begins, heads, width, state, chunk, 0, 0, 1, nullptr, nullptr, nullptr, 0, dt, rate, skip},
          norm_weight(norm_weight) {
        conv.x = projected + inner();
    }
    long inner() const { return scan.heads * scan.width; }
    long channels() const { return conv.channels; }
    long begin(long sequence) const { return scan.begins[sequence]; }

    // The scan of one sequence whose convolved rows lie at `local`; tokens are counted over all sequences.
    Problem<Real> scan_of(long sequence, const Real* local) const {
        Problem<Real> own = scan;
        own.row = channels();
        own.x = local - begin(sequence) * own.row;
        own.b = own.x + inner();
        own.c = own.b + scan.state;
        return own;
    }
};

// y, normed: (T, inner), scales: (T), written where the sequence lies. convolved: (length, channels), working memory.
template <class Real>
static void mix_sequence(
    const Mixer<Real>& m, Table<Real>& table, long s, const States<Real>& states, Real* y, Real* normed, Real* scales, Real* convolved,
    Real epsilon) {
    const long inner = m.inner(), channels = m.channels();
    convolution::forward<Real>(m.conv, m.taps, {0, channels}, s, {convolved - m.begin(s) * channels, channels, nullptr});
    forward(m.scan_of(s, convolved), table, s, states, {y, inner, 0});
    for (long t = m.begin(s); t < m.begin(s + 1); t++)
        scales[t] = norm::forward<norm::BEFORE>(y + t * inner, m.projected + t * m.row, m.norm_weight, normed + t * inner, inner, epsilon);
}

// Where gradients go, those of weights added up. projected: as what it is of, but for its steps. normed: gets what was normed anew, or none.
// dt, rate, skip: as in ssd_back.h.
template <class Real>
struct MixerGradients {
    Real *projected, *conv_weight, *conv_bias, *normed, *dt, *rate, *skip;
};

// What a backward pass over sequences works with, per thread.
template <class Real>
struct MixerDesk {
    Desk<Real> desk;
    norm::Space<Real> space;
    Scratch<Real> waiting;
    Real *convolved, *slope, *d_convolved, *d_y;

    // local: (longest, 3 channels + inner). d_norm_weight: (inner), cleared.
    MixerDesk(const Mixer<Real>& m, Real* local, long longest, Real* d_norm_weight)
        : desk(m.scan),
          space(m.inner(), d_norm_weight),
          waiting(m.taps * padded<Real>(m.channels())),
          convolved(local),
          slope(local + longest * m.channels()),
          d_convolved(slope + longest * m.channels()),
          d_y(d_convolved + longest * m.channels()) {}
};

// grad: of what was normed, (T, inner).
template <class Real>
static void back_through_sequence(
    const Mixer<Real>& m, MixerDesk<Real>& d, long s, const States<Real>& states, const Real* y, const Real* scales, const Real* grad,
    const MixerGradients<Real>& g) {
    const long begin = m.begin(s), inner = m.inner(), channels = m.channels();
    Real *slope_of_first = d.slope - begin * channels, *d_x = d.d_convolved - begin * channels;
    convolution::forward<Real>(m.conv, m.taps, {0, channels}, s, {d.convolved - begin * channels, channels, slope_of_first});
    for (long t = begin; t < m.begin(s + 1); t++)
        norm::backward<norm::BEFORE>(
            y + t * inner, m.projected + t * m.row, m.norm_weight, scales[t], grad + t * inner, d.d_y + (t - begin) * inner,
            g.projected + t * m.row, d.space, inner, g.normed ? g.normed + t * inner : nullptr);
    backward<Real>(
        m.scan_of(s, d.convolved), d.desk, s, {states.begins, states.before, d.d_y - begin * inner, inner},
        {d_x, d_x + inner, d_x + inner + m.scan.state, channels, 0, 0, g.dt, g.rate, g.skip});
    convolution::backward<Real>(
        m.conv, {d_x, channels, g.projected + inner, m.row, g.conv_weight, g.conv_bias, slope_of_first}, m.taps, {0, channels}, s,
        d.waiting.take(0));
}

}  // namespace ssd
