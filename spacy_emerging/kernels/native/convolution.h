// Depthwise convolution over time, with SiLU where wanted, of one sequence.
#pragma once

#include "simd.h"

namespace convolution {

template <class Real>
struct Convolution {
    long sequences;
    const int64_t* begins;  // of each sequence, and the end of the last one
    long channels, ahead, activated;
    const Real* x;
    long x_row;
    const Real* weight;  // (taps, channels)
    const Real* bias;    // (channels)
};

// Channels that are worked on.
struct Range {
    long first, count;
};

// Tokens that are worked on before the next channels, so that what was read stays in the nearest caches.
constexpr long TILE = 32;

// A sequence's rows from a channel on, and zeros before and after it.
template <class Real>
struct Rows {
    const Real* first;
    long row, length;

    template <class Width>
    Vector<Real> at(long t, long c, Width width) const {
        return t >= 0 && t < length ? load(first + t * row + c, width) : Vector<Real>{};
    }
};

// How fast SiLU rises where the gate is open so far, and so much goes through.
template <class V>
INLINE V slope_of(V open, V opened) {
    return open + opened * (1 - open);
}

// What a token sees through each tap, for one vector of channels; it moves on token by token.
template <int TAPS, class Real, class Width>
struct Window {
    Vector<Real> seen[TAPS], weight[TAPS], bias;

    Window(const Convolution<Real>& conv, const Rows<Real>& x, long channel, long c, long t, Width width) {
        for (int tap = 0; tap < TAPS; tap++) weight[tap] = load(conv.weight + tap * conv.channels + channel + c, width);
        for (int tap = 1; tap < TAPS; tap++) seen[tap] = x.at(t + tap - TAPS + conv.ahead, c, width);
        bias = load(conv.bias + channel + c, width);
    }
    void move(Vector<Real> next) {
        for (int tap = 0; tap + 1 < TAPS; tap++) seen[tap] = seen[tap + 1];
        seen[TAPS - 1] = next;
    }
    Vector<Real> sum() const {
        Vector<Real> even = bias, odd{};  // two shorter sums side by side
        for (int tap = 0; tap < TAPS; tap++) (tap % 2 ? odd : even) += weight[tap] * seen[tap];
        return even + odd;
    }
};

// y and slope: of all tokens, as x, in rows so far apart. slope: how fast the activation rises, for the backward pass; written unless there
// is none.
template <class Real>
struct Output {
    Real* y;
    long row;
    Real* slope;
};

// The sum of some taps, times the rows that they see, for one vector of channels from c on. rows: what the first tap sees.
template <class Real, class Width>
INLINE Vector<Real> seen_by(
    int first, int end, const Real* rows, long row, const Real* weight, long channels, Vector<Real> bias, long c, Width width) {
    Vector<Real> even = bias, odd{};  // two shorter sums side by side
    for (int tap = first; tap < end; tap++)
        (tap % 2 ? odd : even) += load(weight + tap * channels + c, width) * load(rows + tap * row + c, width);
    return even + odd;
}

// Token by token, as rows lie in memory; each asks for the next one.
template <int TAPS, class Real>
static void forward(const Convolution<Real>& conv, Range range, long sequence, const Output<Real>& output) {
    const long begin = conv.begins[sequence], length = conv.begins[sequence + 1] - begin, start = begin * output.row + range.first;
    const Real *weight = conv.weight + range.first, *bias = conv.bias + range.first;
    for (long t = 0; t < length; t++) {
        const long seen = t + conv.ahead + 1 - TAPS;  // by the first tap; those that would see beyond the sequence see nothing
        const int first = (int)(seen < 0 ? -seen : 0), end = (int)(length - seen < TAPS ? length - seen : TAPS);
        const Real* rows = conv.x + (begin + seen) * conv.x_row + range.first;
        Real *to = output.y + start + t * output.row, *slope = output.slope ? output.slope + start + t * output.row : nullptr;
        const bool inside = first == 0 && end == TAPS;
        each_vector<Real>(range.count, [&](long c, auto width) {
            __builtin_prefetch(rows + TAPS * conv.x_row + c);
            const Vector<Real> from = load(bias + c, width);
            Vector<Real> sum = inside ? seen_by(0, TAPS, rows, conv.x_row, weight, conv.channels, from, c, width)
                                      : seen_by(first, end, rows, conv.x_row, weight, conv.channels, from, c, width);
            if (conv.activated) {
                Vector<Real> open = sigmoid(sum), opened = sum * open;
                if (slope) store(slope + c, slope_of(open, opened), width);
                sum = opened;
            }
            store(to + c, sum, width);
        });
    }
}

template <class Real>
struct Gradients {
    const Real* grad;  // (T, channels)
    long grad_row;
    Real* dx;  // written
    long dx_row;
    Real *d_weight, *d_bias;  // as weight and bias, added to
    const Real* slope;        // in rows as grad; made anew if there is none
};

// Gradients of the sums of a tile's tokens, for one vector of channels. A loop by itself, since one token's takes long while many can be
// on their way at once.
template <int TAPS, class Real, class Width>
INLINE void through_activation(
    const Convolution<Real>& conv, Window<TAPS, Real, Width> window, const Rows<Real>& x, const Rows<Real>& grad, long from, long end, long c,
    Width width, Vector<Real>* found) {
    for (long t = from; t < end; t++) {
        window.move(x.at(t + conv.ahead, c, width));
        Vector<Real> sum = window.sum(), open = sigmoid(sum);
        found[t - from] = load(grad.first + t * grad.row + c, width) * slope_of(open, sum * open);
    }
}

// Adds to the gradients of weights and biases. waiting: (TAPS, channels), gradients of tokens that later ones see, too, kept from tile to tile.
template <int TAPS, class Real>
static void backward(const Convolution<Real>& conv, const Gradients<Real>& g, Range range, long sequence, Real* waiting) {
    const long begin = conv.begins[sequence], length = conv.begins[sequence + 1] - begin;
    const long wide = padded<Real>(range.count), lead = TAPS - 1 - conv.ahead;  // a token is seen last by the one so far on
    const Rows<Real> x{conv.x + begin * conv.x_row + range.first, conv.x_row, length};
    const Rows<Real> grad{g.grad + begin * g.grad_row + range.first, g.grad_row, length};
    const Real* slope = g.slope ? g.slope + begin * g.grad_row + range.first : nullptr;
    Real *dx = g.dx + begin * g.dx_row + range.first, *d_weight = g.d_weight + range.first, *d_bias = g.d_bias + range.first;
    for (long from = 0; from < length; from += TILE) {
        const long end = from + TILE < length ? from + TILE : length;
        each_vector<Real>(range.count, [&](long c, auto width) {
            Window<TAPS, Real, decltype(width)> window(conv, x, range.first, c, from, width);
            Vector<Real> inside[TILE], by_weight[TAPS], by_bias = load(d_bias + c, width), later[TAPS];
            const bool anew = conv.activated && !slope;
            if (anew) through_activation(conv, window, x, grad, from, end, c, width, inside);
            for (int tap = 0; tap < TAPS; tap++) {
                by_weight[tap] = load(d_weight + tap * conv.channels + c, width);
                later[tap] = from ? load(waiting + tap * wide + c, Whole{}) : Vector<Real>{};
            }
            for (long t = from; t < end; t++) {
                window.move(x.at(t + conv.ahead, c, width));
                Vector<Real> d = anew ? inside[t - from] : load(grad.first + t * grad.row + c, width);
                if (slope) d *= load(slope + t * grad.row + c, width);
                by_bias += d;
                for (int tap = 0; tap < TAPS; tap++) by_weight[tap] += window.seen[tap] * d;
                if (t >= lead) store(dx + (t - lead) * g.dx_row + c, later[0] + window.weight[0] * d, width);
                for (int tap = 1; tap < TAPS; tap++) later[tap - 1] = later[tap] + window.weight[tap] * d;
            }
            for (int tap = 0; tap < TAPS; tap++) {
                store(d_weight + tap * conv.channels + c, by_weight[tap], width);
                store(waiting + tap * wide + c, later[tap], Whole{});
            }
            store(d_bias + c, by_bias, width);
        });
    }
    for (long t = length < lead ? lead : length; t < length + lead; t++)
        each_vector<Real>(range.count, [&](long c, auto width) {
            store(dx + (t - lead) * g.dx_row + c, load(waiting + (t - length) * wide + c, Whole{}), width);
        });
}

// Calls what is made for so many taps.
#define FOR_TAPS(taps, call)    \
    switch (taps) {             \
        case 1: call(1); break; \
        case 2: call(2); break; \
        case 3: call(3); break; \
        case 4: call(4); break; \
        case 5: call(5); break; \
        case 6: call(6); break; \
        case 7: call(7); break; \
        case 8: call(8); break; \
    }

// The same for a number of taps that is not known before; convolution.py says how many there may be.
template <class Real>
static void forward(const Convolution<Real>& conv, long taps, Range range, long sequence, const Output<Real>& output) {
#define FORWARD(count) forward<count>(conv, range, sequence, output)
    FOR_TAPS(taps, FORWARD)
#undef FORWARD
}

template <class Real>
static void backward(const Convolution<Real>& conv, const Gradients<Real>& g, long taps, Range range, long sequence, Real* waiting) {
#define BACKWARD(count) backward<count>(conv, g, range, sequence, waiting)
    FOR_TAPS(taps, BACKWARD)
#undef BACKWARD
}

#undef FOR_TAPS

}  // namespace convolution
