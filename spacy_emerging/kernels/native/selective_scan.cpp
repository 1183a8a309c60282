// The selective scan of Mamba with what stands around it, over sequences that lie end to end: selective_scan.py says what is computed.
//
//     dt = softplus(steps + bias)    state[t] = exp(dt a) state[t-1] + dt x b^T    y = (state c + skip x) silu(z)
//
// A vector holds neighbouring channels, and what belongs to it stands together: its N vectors of state, its N of decay rates. A block of
// tokens goes through one such vector before the next, so that all it needs stays in the nearest cache.
#include <initializer_list>

#include "units.h"

namespace {

constexpr int BLOCK = 16;  // tokens; the backward pass starts from states that are kept, one in so many

template <class Real>
struct Scan {
    long sequences;
    const int64_t* begins;  // of each sequence, and the end of the last one
    long channels, state;
    const Real *x, *steps;  // (T, channels)
    const Real *b, *c;      // (T, state), in rows of
    long row;
    const Real* z;  // (T, channels), in rows of
    long z_row;
    const Real *bias, *a, *skip;  // (channels), (channels, state), (channels)
    const int64_t* kept_begins;   // of each sequence among the blocks that are not its first

    long packed() const { return padded<Real>(channels) * state; }
};

// 2^x for x up to 0, in float32 to within 2 units in the last place (the polynomial: Cephes, exp2f). Below -126 it stays at 2^-126.
INLINE Vector<float> power_of_two(Vector<float> x) {
    using V = Vector<float>;
    typedef Vectors<float>::Whole I;
    const V low = every(-126.0f), magic = every(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    x = x < low ? low : x;
    V shifted = x + magic, r = x - (shifted - magic);
    V p = r * 1.535336188319500e-4f + 1.339887440266574e-3f;
    p = p * r + 9.618437357674640e-3f;
    p = p * r + 5.550332471162809e-2f;
    p = p * r + 2.402264791363012e-1f;
    p = p * r + 6.931472028550421e-1f;
    p = p * r + 1.0f;
    return (V)((I)p + ((I)shifted << 23));
}
INLINE Vector<double> power_of_two(Vector<double> x) {
    for (int i = 0; i < LANES<double>; i++) x[i] = exp2(x[i]);
    return x;
}

// log(1 + e) for e from 0 to 1, as twice the series of the inverse hyperbolic tangent of e / (2 + e), which is at most 1/3.
INLINE Vector<float> log_of_one_and(Vector<float> e) {
    using V = Vector<float>;
    V s = e / (2 + e), square = s * s;
    V p = square * (1 / 15.0f) + 1 / 13.0f;
    p = p * square + 1 / 11.0f;
    p = p * square + 1 / 9.0f;
    p = p * square + 1 / 7.0f;
    p = p * square + 1 / 5.0f;
    p = p * square + 1 / 3.0f;
    return 2 * (s + s * square * p);
}
INLINE Vector<double> log_of_one_and(Vector<double> e) {
    for (int i = 0; i < LANES<double>; i++) e[i] = log1p(e[i]);
    return e;
}

template <class V>
INLINE V softplus(V x) {
    V above = x > V{} ? x : V{};
    return above + log_of_one_and(exponential(x - 2 * above));
}

// Decay rates of powers of 2, (channels, N) to N vectors for every vector of channels; zeros where channels end.
template <class Real>
static void pack(const Scan<Real>& s, Real* to) {
    const long L = LANES<Real>;
    for (long c = 0; c < s.channels; c++)
        for (long n = 0; n < s.state; n++) to[(c / L * s.state + n) * L + c % L] = s.a[c * s.state + n] * Real(1.4426950408889634);
}

// A block of tokens and a vector of channels: where they lie.
struct Place {
    long first, tokens;  // of the block
    long channel;
};

// The states before a block: kept by the forward pass for the backward one. Those before the first block are zero.
template <class Real>
INLINE Real* kept_state(const Scan<Real>& s, const Unit& unit, long block, long channel, Real* kept) {
    return kept + (s.kept_begins[unit.sequence] + block - 1) * s.packed() + channel * s.state;
}

template <class Real, class Width>
static void read_block(const Scan<Real>& s, Place p, const Real* a, Real* state, Real* y, Width width) {
    using V = Vector<Real>;
    const Whole all;
    const long L = LANES<Real>, N = s.state;
    const V bias = load(s.bias + p.channel, width), skip = load(s.skip + p.channel, width);
    for (long t = p.first; t < p.first + p.tokens; t++) {
        const long at = t * s.channels + p.channel;
        const Real *b = s.b + t * s.row, *c = s.c + t * s.row;
        V x = load(s.x + at, width), dt = softplus(load(s.steps + at, width) + bias), u = dt * x, sum = skip * x;
        for (long n = 0; n < N; n++) {
            V now = power_of_two(dt * load(a + n * L, all)) * load(state + n * L, all) + u * b[n];
            sum += now * c[n];
            store(state + n * L, now, all);
        }
        V z = load(s.z + t * s.z_row + p.channel, width);
        store(y + at, sum * z * sigmoid(z), width);
    }
}

// y: (T, channels). kept: see kept_state; or none.
template <class Real>
static void forward(const Scan<Real>& s, Real* kept, Real* y, long threads) {
    const long parts = parts_for(threads, s.sequences);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Scratch<Real> scratch(2 * s.packed());
        Real *a = scratch.take(s.packed()), *states = scratch.take(s.packed());
        pack(s, a);
        for (long each = number; each < s.sequences * parts; each += threads) {
            Unit unit(s.begins, s.channels, parts, each, LANES<Real>);
            memset(states, 0, s.packed() * sizeof(Real));
            for (long t = 0, block = 0; t < unit.length; t += BLOCK, block++) {
                const long tokens = unit.length - t < BLOCK ? unit.length - t : BLOCK;
                each_vector<Real>(unit.count, [&](long c, auto width) {
                    const long channel = unit.first + c;
                    Real* state = states + channel * s.state;
                    if (kept && block) memcpy(kept_state(s, unit, block, channel, kept), state, s.state * LANES<Real> * sizeof(Real));
                    read_block(s, Place{unit.begin + t, tokens, channel}, a + channel * s.state, state, y, width);
                });
            }
        }
    }
}

template <class Real>
struct Gradients {
    const Real* grad;           // (T, channels)
    Real *dx, *d_steps;         // (T, channels), written, as all that follow
    Real *db, *dc;              // (parts, T, state), in rows of
    long row, part_row;
    Real* dz;  // (T, channels), in rows of
    long z_row;
    Real *d_bias, *da, *d_skip;  // as bias, a and skip, a set for each thread
};

// What a backward pass works with, per thread. Of one vector of channels: states and decays of a block; of all: sums.
template <class Real>
struct Workspace {
    Scratch<Real> scratch;
    Real *a, *d_states, *da;          // packed
    Real *states, *decays, *db, *dc;  // a vector for each of N for each token of a block
    Real *x, *dt, *open, *dy;         // a vector for each token of a block

    explicit Workspace(const Scan<Real>& s) : scratch(3 * s.packed() + ((4 * BLOCK + 1) * s.state + 4 * BLOCK) * LANES<Real>) {
        const long L = LANES<Real>;
        for (Real** each : {&a, &d_states, &da}) *each = scratch.take(s.packed());
        states = scratch.take((BLOCK + 1) * s.state * L);
        for (Real** each : {&decays, &db, &dc}) *each = scratch.take(BLOCK * s.state * L);
        for (Real** each : {&x, &dt, &open, &dy}) *each = scratch.take(BLOCK * L);
        pack(s, a);
    }
};

// Computes states and decays of a block anew, from those before it; gives the gradient of z, and that of what is read to `dy`.
template <class Real, class Width>
static void read_again(const Scan<Real>& s, const Gradients<Real>& g, Place p, Workspace<Real>& d, Width width) {
    using V = Vector<Real>;
    const Whole all;
    const long L = LANES<Real>, N = s.state;
    const V bias = load(s.bias + p.channel, width), skip = load(s.skip + p.channel, width);
    const Real* a = d.a + p.channel * N;
    for (long i = 0; i < p.tokens; i++) {
        const long t = p.first + i, at = t * s.channels + p.channel;
        const Real *b = s.b + t * s.row, *c = s.c + t * s.row, *before = d.states + i * N * L;
        Real *after = d.states + (i + 1) * N * L, *decays = d.decays + i * N * L;
        V x = load(s.x + at, width), step = load(s.steps + at, width) + bias, dt = softplus(step), u = dt * x, sum = skip * x;
        for (long n = 0; n < N; n++) {
            V decay = power_of_two(dt * load(a + n * L, all)), now = decay * load(before + n * L, all) + u * b[n];
            sum += now * c[n];
            store(decays + n * L, decay, all);
            store(after + n * L, now, all);
        }
        V z = load(s.z + t * s.z_row + p.channel, width), open = sigmoid(z), grad = load(g.grad + at, width);
        store(g.dz + t * g.z_row + p.channel, grad * sum * open * (1 + z * (1 - open)), width);
        store(d.x + i * L, x, all);
        store(d.dt + i * L, dt, all);
        store(d.open + i * L, sigmoid(step), all);
        store(d.dy + i * L, grad * z * open, all);
    }
}

// Through a block, from its last token to its first.
template <class Real, class Width>
static void back_through(
    const Scan<Real>& s, const Gradients<Real>& g, Place p, Workspace<Real>& d, Real* d_bias, Real* d_skip, Width width) {
    using V = Vector<Real>;
    const Whole all;
    const long L = LANES<Real>, N = s.state;
    const V skip = load(s.skip + p.channel, width);
    const Real* a = d.a + p.channel * N;
    Real *d_state = d.d_states + p.channel * N, *da = d.da + p.channel * N;
    V by_bias{}, by_skip{};
    for (long i = p.tokens - 1; i >= 0; i--) {
        const long t = p.first + i, at = t * s.channels + p.channel;
        const Real *b = s.b + t * s.row, *c = s.c + t * s.row;
        const Real *before = d.states + i * N * L, *after = before + N * L, *decays = d.decays + i * N * L;
        Real *db = d.db + i * N * L, *dc = d.dc + i * N * L;
        V x = load(d.x + i * L, all), dt = load(d.dt + i * L, all), dy = load(d.dy + i * L, all), u = dt * x, by_u{}, by_power{};
        for (long n = 0; n < N; n++) {
            V by_state = load(d_state + n * L, all) + dy * c[n];
            store(dc + n * L, load(dc + n * L, all) + dy * load(after + n * L, all), all);
            store(db + n * L, load(db + n * L, all) + u * by_state, all);
            by_u += by_state * b[n];
            by_state *= load(decays + n * L, all);
            store(d_state + n * L, by_state, all);
            V along = by_state * load(before + n * L, all);
            store(da + n * L, load(da + n * L, all) + along * dt, all);
            by_power += along * load(a + n * L, all);
        }
        V by_step = (by_power * Real(0.69314718055994531) + by_u * x) * load(d.open + i * L, all);
        store(g.d_steps + at, by_step, width);
        store(g.dx + at, dy * skip + by_u * dt, width);
        by_bias += by_step;
        by_skip += dy * x;
    }
    store(d_bias + p.channel, load(d_bias + p.channel, width) + by_bias, width);
    store(d_skip + p.channel, load(d_skip + p.channel, width) + by_skip, width);
}

// One sequence, or a range of its channels.
template <class Real>
static void back(
    const Scan<Real>& s, const Gradients<Real>& g, const Unit& unit, Workspace<Real>& d, Real* kept, Real* d_bias, Real* d_skip) {
    const long L = LANES<Real>, N = s.state, last = (unit.length - 1) / BLOCK;
    memset(d.d_states, 0, s.packed() * sizeof(Real));
    for (long block = last; block >= 0; block--) {
        const long t = block * BLOCK, tokens = unit.length - t < BLOCK ? unit.length - t : BLOCK;
        memset(d.db, 0, tokens * N * L * sizeof(Real));
        memset(d.dc, 0, tokens * N * L * sizeof(Real));
        each_vector<Real>(unit.count, [&](long c, auto width) {
            Place place{unit.begin + t, tokens, unit.first + c};
            if (block)
                memcpy(d.states, kept_state(s, unit, block, place.channel, kept), N * L * sizeof(Real));
            else
                memset(d.states, 0, N * L * sizeof(Real));
            read_again(s, g, place, d, width);
            back_through(s, g, place, d, d_bias, d_skip, width);
        });
        for (long i = 0; i < tokens; i++)
            for (long n = 0; n < N; n++) {
                const long to = unit.part * g.part_row + (unit.begin + t + i) * g.row + n;
                g.db[to] = sum_of<Real>(load(d.db + (i * N + n) * L, Whole{}));
                g.dc[to] = sum_of<Real>(load(d.dc + (i * N + n) * L, Whole{}));
            }
    }
}

template <class Real>
static void backward(const Scan<Real>& s, const Gradients<Real>& g, Real* kept, long threads) {
    const long parts = parts_for(threads, s.sequences), L = LANES<Real>;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Workspace<Real> d(s);
        Real *d_bias = g.d_bias + number * s.channels, *d_skip = g.d_skip + number * s.channels;
        Real* da = g.da + number * s.channels * s.state;
        memset(d_bias, 0, s.channels * sizeof(Real));
        memset(d_skip, 0, s.channels * sizeof(Real));
        for (long each = number; each < s.sequences * parts; each += threads)
            back(s, g, Unit(s.begins, s.channels, parts, each, L), d, kept, d_bias, d_skip);
        for (long c = 0; c < s.channels; c++)
            for (long n = 0; n < s.state; n++) da[c * s.state + n] = d.da[(c / L * s.state + n) * L + c % L];
    }
}

}  // namespace

#define SELECTIVE_SCAN(Real, suffix)                                                                                             \
    EXPORT void selective_scan_forward_##suffix(                                                                                 \
        const Real* x, const Real* steps, const Real* b, const Real* c, const Real* z, const Real* bias, const Real* a,          \
        const Real* skip, const int64_t* begins, const int64_t* kept_begins, Real* kept, Real* y, long row, long z_row,          \
        long sequences, long channels, long state, long threads) {                                                               \
        Scan<Real> s{sequences, begins, channels, state, x, steps, b, c, row, z, z_row, bias, a, skip, kept_begins};             \
        forward<Real>(s, kept, y, threads);                                                                                      \
    }                                                                                                                            \
    EXPORT void selective_scan_backward_##suffix(                                                                                \
        const Real* x, const Real* steps, const Real* b, const Real* c, const Real* z, const Real* bias, const Real* a,          \
        const Real* skip, const int64_t* begins, const int64_t* kept_begins, Real* kept, const Real* grad, Real* dx,             \
        Real* d_steps, Real* db, Real* dc, Real* dz, Real* d_bias, Real* da, Real* d_skip, long row, long z_row, long sequences, \
        long channels, long state, long d_row, long part_row, long dz_row, long threads) {                                       \
        Scan<Real> s{sequences, begins, channels, state, x, steps, b, c, row, z, z_row, bias, a, skip, kept_begins};             \
        Gradients<Real> g{grad, dx, d_steps, db, dc, d_row, part_row, dz, dz_row, d_bias, da, d_skip};                           \
        backward<Real>(s, g, kept, threads);                                                                                     \
    }
SELECTIVE_SCAN(float, f32)
SELECTIVE_SCAN(double, f64)
