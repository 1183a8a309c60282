// The first half of a block of minGRU and minLSTM in one reading direction: norm, convolution, gates, recurrence, out-projection, and the way
// back. A group of sequences goes through all of it before the next one.
//
// Letters as in minimal.cpp: preactivations (T, gates x D) with the candidate's last, states (T, D).
#include "convolution.h"
#include "groups.h"
#include "minimal.h"

namespace {

using namespace minimal;

template <class Real>
struct Block {
    Stream<Real> x;
    convolution::Convolution<Real> conv;  // of what is normed, set for each group
    long taps, units, wide;               // wide: of the preactivations
    const Real *gates_weight, *gates_bias, *out_weight, *out_bias;

    long begin(long sequence) const { return conv.begins[sequence]; }
    // Of a group's rows. Tokens are counted over all sequences.
    convolution::Convolution<Real> conv_of(long first, const Real* normed) const {
        convolution::Convolution<Real> own = conv;
        own.x = normed - first * x.width;
        return own;
    }
    void convolve(long first, long end, const Real* normed, Real* to) const {
        const auto own = conv_of(begin(first), normed);
        for (long s = first; s < end; s++)
            convolution::forward<Real>(own, taps, {0, x.width}, s, {to - begin(first) * x.width, x.width, nullptr});
    }
};

// inside, states: what the backward pass needs; none where there will not be one. out: (T, width) in rows so far apart, in the order of x,
// written. local: so many numbers of working memory per thread, and panels.
template <int GATES, class Real>
static void forward(
    const Block<Real>& b, Real* inside, Real* states, Real* out, long out_row, Real* local, long most, long room, Real epsilon,
    long threads) {
    const long width = b.x.width, units = b.units, wide = b.wide;
    Real *in = local + threads * room, *back = in + panel_numbers<Real>(width, wide);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(true, width, wide, b.gates_weight, in, threads, number);
            share_of_panels(true, units, width, b.out_weight, back, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Room<Real> own{local + number * room, most};
            Real *normed = own.take(width), *convolved = own.take(width), *added = own.take(width), *scales = own.take(1);
            Real *inside_here = own.take(wide), *states_here = own.take(units);
            each_group(b.conv.begins, b.conv.sequences, threads, number, [&](long first, long end) {
                const long begin = b.begin(first), tokens = b.begin(end) - begin;
                Real* gates = inside ? inside + begin * wide : inside_here;
                Real* read = states ? states + begin * units : states_here;
                b.x.normed(begin, tokens, normed, scales, epsilon);
                b.convolve(first, end, normed, convolved);
                all_rows<Real>(tokens, wide, width, convolved, width, in, b.gates_bias, gates, wide);
                for (long s = first, t = 0; s < end; s++)
                    for (const long start = t; t < b.begin(s + 1) - begin; t++)
                        read_token<GATES>(
                            gates + t * wide, t > start ? read + (t - 1) * units : nullptr, read + t * units, units, units);
                all_rows<Real>(tokens, width, units, read, units, back, b.out_bias, added, width);
                b.x.give(begin, tokens, added, out, out_row);
            });
        }
    }
}

// dx: in the order of x, written. gates_weight (wide, width) and out_weight (width, units): written. partial: (threads, width, wide), and
// others of out_weight for all threads but one; working memory. Of all others one for each thread, written.
template <class Real>
struct Gradients {
    Real* dx;
    long dx_row;
    Real *norm_weight, *conv_weight, *conv_bias, *gates_weight, *gates_bias, *out_weight, *out_bias, *partial;
};

template <int GATES, class Real>
static void backward(
    const Block<Real>& b, const Real* inside, const Real* states, const Real* grad, long grad_row, const Gradients<Real>& g, Real* local,
    long most, long room, Real epsilon, long threads) {
    const long width = b.x.width, units = b.units, wide = b.wide;
    Real *out = local + threads * room, *in = out + panel_numbers<Real>(width, units), *of_out = g.partial + threads * width * wide;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(false, width, units, b.out_weight, out, threads, number);
            share_of_panels(false, wide, width, b.gates_weight, in, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Room<Real> own{local + number * room, most};
            Real *normed = own.take(width), *convolved = own.take(width), *d_added = own.take(width), *scales = own.take(1);
            Real *d_convolved = own.take(width), *d_normed = own.take(width), *d_states = own.take(units), *d_gates = own.take(wide);
            Scratch<Real> scratch(b.taps * padded<Real>(width) + padded<Real>(units));
            Real *waiting = scratch.take(b.taps * padded<Real>(width)), *later = scratch.take(units);
            norm::Space<Real> space(width, g.norm_weight + number * width);
            Outer<Real> outer(DEPTH, width);
            Real* d_in = cleared(g.partial, width * wide, number);
            Real* d_out = number ? cleared(of_out, width * units, number - 1) : cleared(g.out_weight, width * units, 0);
            Real *d_conv = cleared(g.conv_weight, b.taps * width, number), *d_conv_bias = cleared(g.conv_bias, width, number);
            Real *d_gates_bias = cleared(g.gates_bias, wide, number), *d_out_bias = cleared(g.out_bias, width, number);
            each_group(b.conv.begins, b.conv.sequences, threads, number, [&](long first, long end) {
                const long begin = b.begin(first), tokens = b.begin(end) - begin;
                const Real *gates = inside + begin * wide, *read = states + begin * units;
                b.x.take(begin, tokens, grad, grad_row, d_added);
                all_rows<Real>(tokens, units, width, d_added, width, out, nullptr, d_states, units);
                add_all(outer, tokens, width, units, d_added, read, units, d_out);
                add_rows(tokens, width, d_added, width, d_out_bias);
                for (long s = end - 1, t = tokens - 1; s >= first; s--) {
                    memset(later, 0, units * sizeof(Real));
                    for (const long start = b.begin(s) - begin; t >= start; t--)
                        back_through_token<GATES>(
                            gates + t * wide, read + t * units, d_states + t * units, later, d_gates + t * wide, t == start, units, units);
                }
                b.x.normed(begin, tokens, normed, scales, epsilon);
                b.convolve(first, end, normed, convolved);
                add_all(outer, tokens, width, wide, convolved, d_gates, wide, d_in);
                add_rows(tokens, wide, d_gates, wide, d_gates_bias);
                all_rows<Real>(tokens, width, wide, d_gates, wide, in, nullptr, d_convolved, width);
                const auto conv = b.conv_of(begin, normed);
                const long before = begin * width;
                for (long s = first; s < end; s++)
                    convolution::backward<Real>(
                        conv, {d_convolved - before, width, d_normed - before, width, d_conv, d_conv_bias, nullptr}, b.taps, {0, width}, s,
                        waiting);
                b.x.back(begin, tokens, d_normed, d_added, scales, space, g.dx, g.dx_row);
            });
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            turned_sum(width, wide, g.partial, g.gates_weight, threads, number);
            add_others(width, units, g.out_weight, of_out, threads, number);
        }
    }
}

}  // namespace

#define BLOCK_ARGUMENTS(Real)                                                                                                         \
    const Real *x, const int64_t *order, const Real *norm_weight, const Real *conv_weight, const Real *conv_bias,                     \
        const Real *gates_weight, const Real *gates_bias, const Real *out_weight, const Real *out_bias, const int64_t *begins,        \
        Real *inside, Real *states
#define BLOCK_SIZES                                                                                                                   \
    long sequences, long width, long units, long gates, long taps, long most, long room, long residual, double epsilon, long threads
#define BLOCK_OF(x_row)                                                                                                               \
    {                                                                                                                                 \
        {width, x, x_row, order, norm_weight, residual != 0},                                                                         \
            {sequences, begins, width, 0, 0, nullptr, width, conv_weight, conv_bias}, taps, units, gates * units, gates_weight,       \
            gates_bias, out_weight, out_bias                                                                                          \
    }
#define BLOCK(Real, suffix)                                                                                                           \
    EXPORT void minimal_block_forward_##suffix(BLOCK_ARGUMENTS(Real), Real* out, Real* local, long x_row, long out_row, BLOCK_SIZES) { \
        Block<Real> b BLOCK_OF(x_row);                                                                                                \
        (gates == 2 ? forward<2, Real> : forward<3, Real>)(                                                                           \
            b, inside, states, out, out_row, local, most, room, (Real)epsilon, threads);                                              \
    }                                                                                                                                 \
    EXPORT void minimal_block_backward_##suffix(                                                                                      \
        BLOCK_ARGUMENTS(Real), const Real* grad, Real* dx, Real* d_norm_weight, Real* d_conv_weight, Real* d_conv_bias,               \
        Real* d_gates_weight, Real* d_gates_bias, Real* d_out_weight, Real* d_out_bias, Real* partial, Real* local, long x_row,       \
        long grad_row, long dx_row, BLOCK_SIZES) {                                                                                    \
        Block<Real> b BLOCK_OF(x_row);                                                                                                \
        (gates == 2 ? backward<2, Real> : backward<3, Real>)(                                                                         \
            b, inside, states, grad, grad_row,                                                                                        \
            {dx, dx_row, d_norm_weight, d_conv_weight, d_conv_bias, d_gates_weight, d_gates_bias, d_out_weight, d_out_bias, partial}, \
            local, most, room, (Real)epsilon, threads);                                                                               \
    }
BLOCK(float, f32)
BLOCK(double, f64)
