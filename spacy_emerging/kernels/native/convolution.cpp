// Depthwise convolution over time, with SiLU where wanted, over sequences that lie end to end: no padding.
//
// Rows are worked on in the order in which they lie in memory; each thread has a range of channels.
#include "simd.h"

namespace {

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

// The range of channels of one thread.
struct Range {
    long first, count;

    Range(long channels, long parts, long number, long lanes) {
        long share = (channels + parts - 1) / parts;
        share = (share + lanes - 1) / lanes * lanes;
        first = number * share < channels ? number * share : channels;
        count = channels - first < share ? channels - first : share;
    }
};

// The rows that a token sees through each tap; beyond a sequence there are zeros.
template <int TAPS, class Real>
INLINE void seen_rows(const Real* from, long row, long t, long length, long ahead, const Real* zeros, const Real** rows) {
    for (int tap = 0; tap < TAPS; tap++) {
        long seen = t + tap - (TAPS - 1) + ahead;
        rows[tap] = seen >= 0 && seen < length ? from + seen * row : zeros;
    }
}

template <int TAPS, class Real, class Width>
INLINE Vector<Real> preactivation(const Convolution<Real>& conv, const Real* const* rows, long first, long c, Width width) {
    Vector<Real> sum = load(conv.bias + first + c, width);
    for (int tap = 0; tap < TAPS; tap++) sum += load(conv.weight + tap * conv.channels + first + c, width) * load(rows[tap] + c, width);
    return sum;
}

template <int TAPS, class Real>
static void forward(const Convolution<Real>& conv, Real* y, long y_row, long threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Range range(conv.channels, threads, number, LANES<Real>);
        Scratch<Real> scratch(padded<Real>(range.count));
        const Real* zeros = scratch.take(range.count);
        for (long s = 0; s < conv.sequences; s++) {
            long begin = conv.begins[s], length = conv.begins[s + 1] - begin;
            for (long t = 0; t < length; t++) {
                const Real* rows[TAPS];
                seen_rows<TAPS>(conv.x + begin * conv.x_row + range.first, conv.x_row, t, length, conv.ahead, zeros, rows);
                Real* to = y + (begin + t) * y_row + range.first;
                each_vector<Real>(range.count, [&](long c, auto width) {
                    Vector<Real> sum = preactivation<TAPS>(conv, rows, range.first, c, width);
                    store(to + c, conv.activated ? sum * sigmoid(sum) : sum, width);
                });
            }
        }
    }
}

template <class Real>
struct Gradients {
    const Real* grad;  // (T, channels)
    long grad_row;
    Real* dx;  // written, as all that follow
    long dx_row;
    Real *d_weight, *d_bias;  // as weight and bias
};

// One sequence. ring: the gradients of the preactivations of TAPS tokens, the last ones visited.
template <int TAPS, class Real>
static void back(
    const Convolution<Real>& conv, const Gradients<Real>& g, Range range, long begin, long length, Real* ring, const Real* zeros) {
    const Real* from = conv.x + begin * conv.x_row + range.first;
    const long lead = TAPS - 1 - conv.ahead;  // a token is seen last by the one so far on
    const long wide = padded<Real>(range.count);
    Real *d_weight = g.d_weight + range.first, *d_bias = g.d_bias + range.first;
    for (long t = -conv.ahead; t < length + lead; t++) {
        if (t >= 0 && t < length) {
            const Real *rows[TAPS], *grad = g.grad + (begin + t) * g.grad_row + range.first;
            seen_rows<TAPS>(from, conv.x_row, t, length, conv.ahead, zeros, rows);
            Real* inside = ring + t % TAPS * wide;
            each_vector<Real>(range.count, [&](long c, auto width) {
                Vector<Real> d = load(grad + c, width);
                if (conv.activated) {
                    Vector<Real> sum = preactivation<TAPS>(conv, rows, range.first, c, width), open = sigmoid(sum);
                    d *= open * (1 + sum * (1 - open));
                }
                store(inside + c, d, width);
                store(d_bias + c, load(d_bias + c, width) + d, width);
            });
        }
        const long done = t - lead;  // all that see this token have been visited
        if (done < 0 || done >= length) continue;
        const Real *seeing[TAPS], *x = from + done * conv.x_row;
        for (int tap = 0; tap < TAPS; tap++) {
            long by = done + lead - tap;
            seeing[tap] = by >= 0 && by < length ? ring + by % TAPS * wide : zeros;
        }
        Real* dx = g.dx + (begin + done) * g.dx_row + range.first;
        each_vector<Real>(range.count, [&](long c, auto width) {
            Vector<Real> value = load(x + c, width), sum{};
            for (int tap = 0; tap < TAPS; tap++) {
                Vector<Real> d = load(seeing[tap] + c, width);
                Real* to = d_weight + tap * conv.channels + c;
                sum += load(conv.weight + tap * conv.channels + range.first + c, width) * d;
                store(to, load(to, width) + value * d, width);
            }
            store(dx + c, sum, width);
        });
    }
}

template <int TAPS, class Real>
static void backward(const Convolution<Real>& conv, const Gradients<Real>& g, long threads) {
    memset(g.d_weight, 0, TAPS * conv.channels * sizeof(Real));
    memset(g.d_bias, 0, conv.channels * sizeof(Real));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Range range(conv.channels, threads, number, LANES<Real>);
        const long wide = padded<Real>(range.count);
        Scratch<Real> scratch((TAPS + 1) * wide);
        Real *ring = scratch.take(TAPS * wide), *zeros = scratch.take(wide);
        for (long s = 0; s < conv.sequences; s++)
            back<TAPS>(conv, g, range, conv.begins[s], conv.begins[s + 1] - conv.begins[s], ring, zeros);
    }
}

// loops.py says how many taps there may be.
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
#define FORWARD(count) forward<count>(conv, y, y_row, threads)
#define BACKWARD(count) backward<count>(conv, g, threads)

}  // namespace

#define CONVOLUTION(Real, suffix)                                                                                                     \
    EXPORT void convolution_forward_##suffix(                                                                                          \
        const Real* x, const Real* weight, const Real* bias, const int64_t* begins, Real* y, long x_row, long sequences, long channels, \
        long taps, long ahead, long activated, long y_row, long threads) {                                                             \
        Convolution<Real> conv{sequences, begins, channels, ahead, activated, x, x_row, weight, bias};                                 \
        FOR_TAPS(taps, FORWARD)                                                                                                        \
    }                                                                                                                                  \
    EXPORT void convolution_backward_##suffix(                                                                                         \
        const Real* x, const Real* weight, const Real* bias, const int64_t* begins, const Real* grad, Real* dx, Real* d_weight,        \
        Real* d_bias, long x_row, long sequences, long channels, long taps, long ahead, long activated, long grad_row, long dx_row,    \
        long threads) {                                                                                                                \
        Convolution<Real> conv{sequences, begins, channels, ahead, activated, x, x_row, weight, bias};                                 \
        Gradients<Real> g{grad, grad_row, dx, dx_row, d_weight, d_bias};                                                               \
        FOR_TAPS(taps, BACKWARD)                                                                                                       \
    }
CONVOLUTION(float, f32)
CONVOLUTION(double, f64)
