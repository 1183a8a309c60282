// The whole block of Mamba-2 in one reading direction: norm, in-projection, mixer, out-projection, and the way back. A group of sequences
// goes through all of it before the next one, so that what lies between stays in the caches; the backward pass keeps nothing that it can
// make anew from there.
#include "groups.h"
#include "softplus.h"
#include "ssd_mixer.h"

namespace {

using namespace ssd;

template <class Real>
struct Block {
    Mixer<Real> mixer;  // projected and dt are set for each group
    Stream<Real> x;
    const Real *in_weight, *step_bias, *out_weight;

    long heads() const { return mixer.scan.heads; }
    long inner() const { return mixer.inner(); }
    long steps() const { return inner() + mixer.channels(); }  // the column of what is projected where steps begin
    long columns() const { return steps() + heads(); }
    long begin(long sequence) const { return mixer.begin(sequence); }

    // The mixer of a group whose first token is `first`; tokens are counted over all sequences.
    Mixer<Real> mixer_of(long first, const Real* projected, const Real* dt) const {
        Mixer<Real> own = mixer;
        own.projected = projected - first * own.row;
        own.conv.x = own.projected + inner();
        own.scan.dt = dt - first * heads();
        return own;
    }
};

// What the backward pass needs; none of these where there will not be one, but for room for scales (T).
template <class Real>
struct Kept {
    Real *projected, *y, *mixer_scales;
};

// out: (T, width) in rows so far apart, in the order of x, written. local: so many numbers of working memory per thread, and panels.
template <class Real>
static void all_forward(
    const Block<Real>& b, const States<Real>& states, const Kept<Real>& kept, Real* out, long out_row, Real* local, long most, long room,
    Real epsilon, long threads) {
    const long inner = b.inner(), row = b.mixer.row, width = b.x.width;
    Real *in = local + threads * room, *back = in + panel_numbers<Real>(width, b.columns());
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Table<Real> table(b.mixer.scan);
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(true, width, b.columns(), b.in_weight, in, threads, number);
            share_of_panels(true, inner, width, b.out_weight, back, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Room<Real> own{local + number * room, most};
            Real *normed = own.take(width), *mixed = own.take(inner), *added = own.take(width), *dt = own.take(b.heads());
            Real *convolved = own.take(b.mixer.channels()), *here = own.take(row), *y_here = own.take(inner), *scales = own.take(1);
            each_group(b.mixer.scan.begins, b.mixer.scan.sequences, threads, number, [&](long first, long end) {
                const long begin = b.begin(first), tokens = b.begin(end) - begin;
                Real* projected = kept.projected ? kept.projected + begin * row : here;
                Real* y = (kept.y ? kept.y + begin * inner : y_here) - begin * inner;
                b.x.normed(begin, tokens, normed, scales, epsilon);
                all_rows<Real>(tokens, b.columns(), width, normed, width, in, nullptr, projected, row);
                steps_of<Real>(tokens, b.heads(), projected + b.steps(), row, b.step_bias, dt, nullptr);
                const Mixer<Real> mixer = b.mixer_of(begin, projected, dt);
                for (long s = first; s < end; s++)
                    mix_sequence(mixer, table, s, states, y, mixed - begin * inner, kept.mixer_scales, convolved, epsilon);
                all_rows<Real>(tokens, width, inner, mixed, inner, back, nullptr, added, width);
                b.x.give(begin, tokens, added, out, out_row);
            });
        }
    }
}

// dx: in the order of x, written. in_weight (columns, width) and out_weight (width, inner): written. partial: (threads, width, columns), and
// others of out_weight for all threads but one; working memory. Of all others one for each thread. rate, skip: (sequences, H).
template <class Real>
struct Gradients {
    Real* dx;
    long dx_row;
    Real *norm_weight, *in_weight, *conv_weight, *conv_bias, *step_bias, *mixer_norm_weight, *out_weight, *rate, *skip, *partial;
};

template <class Real>
static void all_backward(
    const Block<Real>& b, const States<Real>& states, const Kept<Real>& kept, const Real* grad, long grad_row, const Gradients<Real>& g,
    Real* local, long most, long room, Real epsilon, long threads) {
    const long inner = b.inner(), row = b.mixer.row, width = b.x.width, channels = b.mixer.channels(), heads = b.heads();
    Real *out = local + threads * room, *in = out + panel_numbers<Real>(width, inner), *of_out = g.partial + threads * width * b.columns();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            share_of_panels(false, width, inner, b.out_weight, out, threads, number);
            share_of_panels(false, b.columns(), width, b.in_weight, in, threads, number);
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            Room<Real> own{local + number * room, most};
            Real *normed = own.take(width), *d_added = own.take(width), *d_normed = own.take(width), *mixed = own.take(inner);
            Real *d_mixed = own.take(inner), *d_projected = own.take(row), *dt = own.take(heads), *slopes = own.take(heads);
            Real *d_dt = own.take(heads), *scales = own.take(1), *sequence = own.take(3 * channels + inner);
            MixerDesk<Real> desk(b.mixer, sequence, most, g.mixer_norm_weight + number * inner);
            norm::Space<Real> space(width, g.norm_weight + number * width);
            Outer<Real> outer(DEPTH, width);
            Real* d_in = cleared(g.partial, width * b.columns(), number);
            Real* d_out = number ? cleared(of_out, width * inner, number - 1) : cleared(g.out_weight, width * inner, 0);
            Real* d_step_bias = cleared(g.step_bias, heads, number);
            MixerGradients<Real> of_mixer{
                nullptr, cleared(g.conv_weight, b.mixer.taps * channels, number), cleared(g.conv_bias, channels, number), nullptr, nullptr,
                g.rate, g.skip};
            each_group(b.mixer.scan.begins, b.mixer.scan.sequences, threads, number, [&](long first, long end) {
                const long begin = b.begin(first), tokens = b.begin(end) - begin;
                const Real* projected = kept.projected + begin * row;
                b.x.take(begin, tokens, grad, grad_row, d_added);
                all_rows<Real>(tokens, inner, width, d_added, width, out, nullptr, d_mixed, inner);
                steps_of(tokens, heads, projected + b.steps(), row, b.step_bias, dt, slopes);
                const Mixer<Real> mixer = b.mixer_of(begin, projected, dt);
                MixerGradients<Real> here = of_mixer;
                here.projected = d_projected - begin * row, here.normed = mixed - begin * inner, here.dt = d_dt - begin * heads;
                for (long s = first; s < end; s++)
                    back_through_sequence(mixer, desk, s, states, kept.y, kept.mixer_scales, d_mixed - begin * inner, here);
                back_through_steps(tokens, heads, d_dt, slopes, d_projected + b.steps(), row, d_step_bias);
                add_all(outer, tokens, width, inner, d_added, mixed, inner, d_out);
                b.x.normed(begin, tokens, normed, scales, epsilon);
                add_all(outer, tokens, width, b.columns(), normed, d_projected, row, d_in);
                all_rows<Real>(tokens, width, b.columns(), d_projected, row, in, nullptr, d_normed, width);
                b.x.back(begin, tokens, d_normed, d_added, scales, space, g.dx, g.dx_row);
            });
        }
#pragma omp for schedule(static)
        for (long number = 0; number < threads; number++) {
            turned_sum(width, b.columns(), g.partial, g.in_weight, threads, number);
            add_others(width, inner, g.out_weight, of_out, threads, number);
        }
    }
}

}  // namespace

#define BLOCK_ARGUMENTS(Real)                                                                                                          \
    const Real *x, const int64_t *order, const Real *norm_weight, const Real *in_weight, const Real *conv_weight,                      \
        const Real *conv_bias, const Real *step_bias, const Real *rate, const Real *skip, const Real *mixer_norm_weight,               \
        const Real *out_weight, const int64_t *begins, const int64_t *state_begins, Real *states, Real *projected, Real *y,            \
        Real *mixer_scales
#define BLOCK_SIZES                                                                                                                    \
    long row, long width, long sequences, long heads, long head_width, long state, long chunk, long taps, long most, long room,        \
        long residual, double epsilon, long threads
#define BLOCK(Real, suffix)                                                                                                            \
    EXPORT void ssd_block_forward_##suffix(BLOCK_ARGUMENTS(Real), Real* out, Real* local, long x_row, long out_row, BLOCK_SIZES) {     \
        Block<Real> b{                                                                                                                 \
            {x, conv_weight, conv_bias, x, rate, skip, mixer_norm_weight, begins, row, sequences, heads, head_width, state,            \
             chunk, taps},                                                                                                             \
            {width, x, x_row, order, norm_weight, residual != 0}, in_weight, step_bias, out_weight};                                   \
        all_forward<Real>(                                                                                                             \
            b, {state_begins, states, nullptr, nullptr}, {projected, y, mixer_scales}, out, out_row, local, most, room,                \
            (Real)epsilon, threads);                                                                                                   \
    }                                                                                                                                  \
    EXPORT void ssd_block_backward_##suffix(                                                                                           \
        BLOCK_ARGUMENTS(Real), const Real* grad, Real* dx, Real* d_norm_weight, Real* d_in_weight, Real* d_conv_weight,                \
        Real* d_conv_bias, Real* d_step_bias, Real* d_mixer_norm_weight, Real* d_out_weight, Real* d_rate, Real* d_skip,               \
        Real* partial, Real* local, long x_row, long grad_row, long dx_row, BLOCK_SIZES) {                                             \
        Block<Real> b{                                                                                                                 \
            {x, conv_weight, conv_bias, x, rate, skip, mixer_norm_weight, begins, row, sequences, heads, head_width, state,            \
             chunk, taps},                                                                                                             \
            {width, x, x_row, order, norm_weight, residual != 0}, in_weight, step_bias, out_weight};                                   \
        all_backward<Real>(                                                                                                            \
            b, {state_begins, states, nullptr, nullptr}, {projected, y, mixer_scales}, grad, grad_row,                                 \
            {dx, dx_row, d_norm_weight, d_in_weight, d_conv_weight, d_conv_bias, d_step_bias, d_mixer_norm_weight, d_out_weight,       \
             d_rate, d_skip, partial},                                                                                                 \
            local, most, room, (Real)epsilon, threads);                                                                                \
    }
BLOCK(float, f32)
BLOCK(double, f64)
