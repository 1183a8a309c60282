// The selective scan of Mamba with what stands around it, over sequences that lie end to end: selective_scan.py says what is computed.
//
//     dt = softplus(low weight^T + bias)    state[t] = exp(dt a) state[t-1] + dt x b^T    y = (state c + skip x) silu(z)
//
// A vector holds neighbouring channels. A block of tokens goes through a chunk of channels before the next one; inside, through one vector
// before the next, and through a few numbers of its state before the others: these stay in registers meanwhile.
#include "selective_scan.h"

namespace {

// A block through some channels. state: as rates are packed.
template <class Real>
static void read_block(const Scan<Real>& s, const Packed<Real>& p, Place at, Place next, Real* state, Real* y) {
    using V = Vector<Real>;
    Inside<Real> inside;
    alignas(LINE) Real decays[BLOCK * GROUP * LANES<Real>];
    fetch_rows(at, y, s.channels);
    fetch_rows(next, s.x, s.channels);
    fetch_rows(next, s.z, s.z_row);
    find_steps(s, p, at, inside.dt);
    find_exponentials(p, at, inside.dt, inside.u);
    const Real* skip = p.skip + at.channel;
    each_row<Real>(at, [&](long t, long i, auto vectors) {
        const Real* from_x = s.x + t * s.channels + at.channel;
        vectors([&](long c, auto width) {
            const V x = load(from_x + c, width), dt = Softplus<V>(inside.dt.get(i, c), inside.u.get(i, c)).value;
            inside.dt.put(i, c, dt);
            inside.u.put(i, c, dt * x);
            inside.read.put(i, c, load(skip + c, Whole{}) * x);
        });
    });
    for (long c = 0; c < at.channels; c += LANES<Real>)
        each_group(s.state, [&](long n, auto count) {
            const long here = s.rate(at.channel + c, n);
            read_some<decltype(count)::value, false, Real>(s, at, n, c, p.a + here, state + here, state + here, inside, decays);
        });
    each_row<Real>(at, [&](long t, long i, auto vectors) {
        const Real* from_z = s.z + t * s.z_row + at.channel;
        Real* to = y + t * s.channels + at.channel;
        vectors([&](long c, auto width) {
            const V z = load(from_z + c, width);
            store(to + c, inside.read.get(i, c) * z * sigmoid(z), width);
        });
    });
}

// y: (T, channels). kept: see kept_state; or none. start, end: for each sequence as `room` says, the state before its first token, and that
// after its last, which is written; or none.
template <class Real>
static void forward(const Scan<Real>& s, Real* kept, const Real* start, Real* end, long room, Real* y, long threads) {
    const long parts = parts_for(threads, s.sequences), numbers = s.wide() * s.state;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Packed<Real> packed(s);
        Scratch<Real> scratch(numbers + LINE);
        Real* states = next_line(scratch, numbers);
        for (long each = number; each < s.sequences * parts; each += threads) {
            Unit unit(s.begins, s.channels, parts, each, LANES<Real>);
            const long own = s.rate(unit.first, 0), of_sequence = unit.sequence * room + own;
            memset(states, 0, numbers * sizeof(Real));
            if (start) memcpy(states + own, start + of_sequence, s.kept_bytes(unit.count));
            for (long t = 0, block = 0; t < unit.length; t += BLOCK, block++) {
                each_chunk(unit, t, t + BLOCK, [&](Place at, Place next) {
                    Real* state = states + s.rate(at.channel, 0);
                    if (kept && block) memcpy(kept_state(s, unit, block, at.channel, kept), state, s.kept_bytes(at.channels));
                    read_block(s, packed, at, next, states, y);
                });
            }
            if (end) memcpy(end + of_sequence, states + own, s.kept_bytes(unit.count));
        }
    }
}

template <class Real>
struct Gradients {
    const Real* grad;  // (T, channels)
    Real* dx;          // (T, channels), written, as all that follow
    Real* d_selected;  // (parts, T, rank + 2 state)
    Real* dz;          // (T, channels), in rows of
    long z_row;
    Real *d_weight, *d_bias, *da, *d_skip;  // as weight, bias, a and skip, a set for each thread
};

// What a backward pass works with, per thread. Of one vector of channels: states and decays of a block; of all: sums.
template <class Real>
struct Workspace {
    Packed<Real> packed;
    Scratch<Real> scratch;
    Real *d_states, *da;               // as rates are packed
    Real *db, *dc;                     // a vector for each of N for each token of a block
    Real* d_steps;                     // (BLOCK, channels)
    Real *d_weight, *d_bias, *d_skip;  // (rank, channels), (channels), (channels)
    Real *states, *decays, *zeros;     // of a group
    Inside<Real> inside;
    Rows<Real> slope, dz, dy, du, d_power;

    explicit Workspace(const Scan<Real>& s)
        : packed(s),
          scratch(s.wide() * (2 * s.state + BLOCK + s.rank + 2) + BLOCK * (2 * s.state + 2 * GROUP + 2) * LANES<Real> + 16 * LINE) {
        const long L = LANES<Real>;
        for (Real** each : {&d_states, &da}) *each = next_line(scratch, s.wide() * s.state);
        for (Real** each : {&db, &dc}) *each = next_line(scratch, BLOCK * s.state * L);
        d_steps = next_line(scratch, s.wide() * BLOCK);
        d_weight = next_line(scratch, s.wide() * s.rank);
        for (Real** each : {&d_bias, &d_skip}) *each = next_line(scratch, s.wide());
        states = next_line(scratch, (BLOCK + 1) * GROUP * L);
        decays = next_line(scratch, BLOCK * GROUP * L);
        zeros = next_line(scratch, GROUP * L);
    }
};

// What each token of a block brings: steps, the gradient of what is read from the state, and that of z but for what is read.
template <class Real>
static void prepare(const Scan<Real>& s, const Gradients<Real>& g, Place at, Workspace<Real>& d) {
    using V = Vector<Real>;
    find_steps(s, d.packed, at, d.inside.dt);
    find_exponentials(d.packed, at, d.inside.dt, d.inside.u);
    const Real* skip = d.packed.skip + at.channel;
    each_row<Real>(at, [&](long t, long i, auto vectors) {
        const Real* from_x = s.x + t * s.channels + at.channel;
        vectors([&](long c, auto width) {
            const V x = load(from_x + c, width);
            const Softplus<V> step(d.inside.dt.get(i, c), d.inside.u.get(i, c));
            d.inside.dt.put(i, c, step.value);
            d.inside.u.put(i, c, step.value * x);
            d.inside.read.put(i, c, load(skip + c, Whole{}) * x);
            d.slope.put(i, c, step.slope);
        });
    });
    each_row<Real>(at, [&](long t, long i, auto vectors) {
        const Real *from_z = s.z + t * s.z_row + at.channel, *from_grad = g.grad + t * s.channels + at.channel;
        vectors([&](long c, auto width) {
            const V z = load(from_z + c, width), open = sigmoid(z), grad = load(from_grad + c, width) * open;
            d.dz.put(i, c, grad * (1 + z * (1 - open)));
            d.dy.put(i, c, grad * z);
            d.du.put(i, c, V{});
            d.d_power.put(i, c, V{});
        });
    });
}

// COUNT numbers of the state, from the n-th, for the c-th vector of the chunk through a block, from its last token to its first.
template <int COUNT, class Real>
static void back_some(const Scan<Real>& s, Place at, long n, long c, Workspace<Real>& d) {
    using V = Vector<Real>;
    const Whole all;
    const long L = LANES<Real>, N = s.state, here = s.rate(at.channel + c, n);
    const Real* a = d.packed.a + here;
    V d_state[COUNT], da[COUNT];
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++) d_state[k] = load(d.d_states + here + k * L, all), da[k] = load(d.da + here + k * L, all);
    for (long i = at.tokens - 1; i >= 0; i--) {
        const Real *from_b = s.b(at.first + i) + n, *from_c = s.c(at.first + i) + n;
        const Real *before = d.states + i * COUNT * L, *after = before + COUNT * L, *decays = d.decays + i * COUNT * L;
        Real *db = d.db + (i * N + n) * L, *dc = d.dc + (i * N + n) * L;
        const V dt = d.inside.dt.get(i, c), u = d.inside.u.get(i, c), dy = d.dy.get(i, c);
        V du = d.du.get(i, c), d_power = d.d_power.get(i, c);
        for (int k = 0; k < COUNT; k++) {
            V by_state = d_state[k] + dy * from_c[k];
            store(dc + k * L, load(dc + k * L, all) + dy * load(after + k * L, all), all);
            store(db + k * L, load(db + k * L, all) + u * by_state, all);
            du += by_state * from_b[k];
            d_state[k] = by_state * load(decays + k * L, all);
            V along = d_state[k] * load(before + k * L, all);
            da[k] += along * dt;
            d_power += along * load(a + k * L, all);
        }
        d.du.put(i, c, du);
        d.d_power.put(i, c, d_power);
    }
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++) store(d.d_states + here + k * L, d_state[k], all), store(d.da + here + k * L, da[k], all);
}

// A block of some channels, and what becomes of it. before: the states before it, as rates are packed; none are zero.
template <class Real>
static void back_block(const Scan<Real>& s, const Gradients<Real>& g, Place at, Place next, Workspace<Real>& d, const Real* before) {
    using V = Vector<Real>;
    fetch_rows(at, g.dx, s.channels);
    fetch_rows(at, g.dz, g.z_row);
    fetch_rows(next, s.x, s.channels);
    fetch_rows(next, s.z, s.z_row);
    fetch_rows(next, g.grad, s.channels);
    prepare(s, g, at, d);
    for (long c = 0; c < at.channels; c += LANES<Real>)
        each_group(s.state, [&](long n, auto count) {
            constexpr int COUNT = decltype(count)::value;
            const Real *a = d.packed.a + s.rate(at.channel + c, n), *start = before ? before + s.rate(c, n) : d.zeros;
            read_some<COUNT, true>(s, at, n, c, a, start, d.states, d.inside, d.decays);
            back_some<COUNT>(s, at, n, c, d);
        });
    const Whole all;
    const Real* skip = d.packed.skip + at.channel;
    Real *d_bias = d.d_bias + at.channel, *d_skip = d.d_skip + at.channel;
    each_row<Real>(at, [&](long t, long i, auto vectors) {
        const Real* from_x = s.x + t * s.channels + at.channel;
        Real *dx = g.dx + t * s.channels + at.channel, *dz = g.dz + t * g.z_row + at.channel;
        Real* d_step = d.d_steps + i * s.wide() + at.channel;
        vectors([&](long c, auto width) {
            const V x = load(from_x + c, width), dy = d.dy.get(i, c), du = d.du.get(i, c);
            const V by_step = (d.d_power.get(i, c) * Real(0.69314718055994531) + du * x) * d.slope.get(i, c);
            store(d_step + c, by_step, all);
            store(dx + c, dy * load(skip + c, all) + du * d.inside.dt.get(i, c), width);
            store(dz + c, d.dz.get(i, c) * d.inside.read.get(i, c), width);
            store(d_bias + c, load(d_bias + c, all) + by_step, all);
            store(d_skip + c, load(d_skip + c, all) + dy * x, all);
        });
    });
}

// The gradients of what is selected for a block, from those of all its channels; and that of the weights of the steps.
template <class Real>
static void gather(const Scan<Real>& s, const Gradients<Real>& g, const Unit& unit, long first, int tokens, Workspace<Real>& d) {
    const long N = s.state, R = s.rank, total = s.begins[s.sequences] - s.begins[0];
    const Real* d_steps = d.d_steps + unit.first;
    Real* to = g.d_selected + (unit.part * total + first) * s.row();
    product<false>(tokens, (int)R, (int)unit.count, d_steps, s.wide(), 1, s.weight + unit.first * R, R, to, s.row());
    product<true>((int)R, (int)unit.count, tokens, s.low(first), 1, s.row(), d_steps, s.wide(), d.d_weight + unit.first, s.wide());
    for (long i = 0; i < tokens; i++)
        for (long n = 0; n < N; n++) {
            to[i * s.row() + R + n] = sum_of<Real>(load(d.db + (i * N + n) * LANES<Real>, Whole{}));
            to[i * s.row() + R + N + n] = sum_of<Real>(load(d.dc + (i * N + n) * LANES<Real>, Whole{}));
        }
}

// One sequence, or a range of its channels.
template <class Real>
static void back(const Scan<Real>& s, const Gradients<Real>& g, const Unit& unit, Workspace<Real>& d, Real* kept) {
    memset(d.d_states, 0, s.wide() * s.state * sizeof(Real));
    for (long block = (unit.length - 1) / BLOCK; block >= 0; block--) {
        const long t = block * BLOCK, tokens = unit.length - t < BLOCK ? unit.length - t : BLOCK;
        memset(d.db, 0, tokens * s.state * LANES<Real> * sizeof(Real));
        memset(d.dc, 0, tokens * s.state * LANES<Real> * sizeof(Real));
        each_chunk(unit, t, t - BLOCK, [&](Place at, Place next) {
            back_block(s, g, at, next, d, block ? kept_state(s, unit, block, at.channel, kept) : nullptr);
        });
        gather(s, g, unit, unit.begin + t, (int)tokens, d);
    }
}

template <class Real>
static void backward(const Scan<Real>& s, const Gradients<Real>& g, Real* kept, long threads) {
    const long parts = parts_for(threads, s.sequences);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long number = 0; number < threads; number++) {
        Workspace<Real> d(s);
        for (long each = number; each < s.sequences * parts; each += threads)
            back(s, g, Unit(s.begins, s.channels, parts, each, LANES<Real>), d, kept);
        memcpy(g.d_bias + number * s.channels, d.d_bias, s.channels * sizeof(Real));
        memcpy(g.d_skip + number * s.channels, d.d_skip, s.channels * sizeof(Real));
        Real *da = g.da + number * s.channels * s.state, *d_weight = g.d_weight + number * s.channels * s.rank;
        for (long c = 0; c < s.channels; c++) {
            for (long n = 0; n < s.state; n++) da[c * s.state + n] = d.da[s.rate(c, n)];
            for (long r = 0; r < s.rank; r++) d_weight[c * s.rank + r] = d.d_weight[r * s.wide() + c];
        }
    }
}

}  // namespace

#define SELECTIVE_SCAN(Real, suffix)                                                                                                   \
    EXPORT void selective_scan_forward_##suffix(                                                                                       \
        const Real* x, const Real* selected, const Real* z, const Real* weight, const Real* bias, const Real* a, const Real* skip,     \
        const int64_t* begins, const int64_t* kept_begins, Real* kept, const Real* start, Real* end, Real* y, long room, long z_row,   \
        long sequences, long channels, long state, long rank, long threads) {                                                          \
        Scan<Real> s{sequences, begins, channels, state, rank, x, selected, z, z_row, weight, bias, a, skip, kept_begins};             \
        forward<Real>(s, kept, start, end, room, y, threads);                                                                          \
    }                                                                                                                                  \
    EXPORT void selective_scan_backward_##suffix(                                                                                      \
        const Real* x, const Real* selected, const Real* z, const Real* weight, const Real* bias, const Real* a, const Real* skip,     \
        const int64_t* begins, const int64_t* kept_begins, Real* kept, const Real* grad, Real* dx, Real* d_selected, Real* dz,         \
        Real* d_weight, Real* d_bias, Real* da, Real* d_skip, long z_row, long sequences, long channels, long state, long rank,        \
        long dz_row, long threads) {                                                                                                   \
        Scan<Real> s{sequences, begins, channels, state, rank, x, selected, z, z_row, weight, bias, a, skip, kept_begins};             \
        Gradients<Real> g{grad, dx, d_selected, dz, dz_row, d_weight, d_bias, da, d_skip};                                             \
        backward<Real>(s, g, kept, threads);                                                                                           \
    }
SELECTIVE_SCAN(float, f32)
SELECTIVE_SCAN(double, f64)
