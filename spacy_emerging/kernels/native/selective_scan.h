// What both passes of the selective scan need: the functions of one vector, and what belongs to a vector of channels.
#pragma once

#include <initializer_list>

#include "product.h"
#include "softplus.h"
#include "units.h"

constexpr int BLOCK = 32;  // tokens; the backward pass starts from states that are kept, one in so many
constexpr int CHUNK = 64;  // channels that go through a block together: what they need stays in the nearest caches
constexpr int GROUP = 8;   // numbers of a state that go through a block together: they stay in registers

template <class Real>
struct Scan {
    long sequences;
    const int64_t* begins;  // of each sequence, and the end of the last one
    long channels, state, rank;
    const Real* x;         // (T, channels)
    const Real* selected;  // (T, rank + 2 state), in rows of just that: what the step sizes are computed from, b and c
    const Real* z;         // (T, channels), in rows of
    long z_row;
    const Real *weight, *bias, *a, *skip;  // (channels, rank), (channels), (channels, state), (channels)
    const int64_t* kept_begins;            // of each sequence among the blocks that are not its first

    long row() const { return rank + 2 * state; }
    long wide() const { return padded<Real>(channels); }
    long rate(long c, long n) const { return (c / LANES<Real> * state + n) * LANES<Real> + c % LANES<Real>; }  // place of one, as packed
    size_t kept_bytes(long channels) const { return padded<Real>(channels) * state * sizeof(Real); }
    const Real* low(long t) const { return selected + t * row(); }
    const Real* b(long t) const { return low(t) + rank; }
    const Real* c(long t) const { return b(t) + state; }
};

// To powers of 2, of numbers up to 0; in float32 to 2 parts in 10^7. Numbers below -126 count as that.
// The polynomial has the least relative error of those that are 1 at 0, on half a binade around 1: 9e-8. Several vectors go through it
// side by side, since each step has to wait for the one before.
template <int COUNT>
INLINE void powers_of_two(Vector<float> (&x)[COUNT]) {
    using V = Vector<float>;
    typedef Vectors<float>::Whole I;
    const V magic = every(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    V shifted[COUNT], p[COUNT];
    for (int k = 0; k < COUNT; k++) x[k] = larger(every(-126.0f), x[k]);
    for (int k = 0; k < COUNT; k++) shifted[k] = x[k] + magic;
    for (int k = 0; k < COUNT; k++) x[k] -= shifted[k] - magic;
    for (int k = 0; k < COUNT; k++) p[k] = x[k] * 1.326472697e-3f + 9.671512610e-3f;
    for (float each : {5.550733743e-2f, 2.402224209e-1f, 6.931469776e-1f, 1.0f})
        for (int k = 0; k < COUNT; k++) p[k] = p[k] * x[k] + each;
    for (int k = 0; k < COUNT; k++) x[k] = (V)((I)p[k] + ((I)shifted[k] << 23));
}
template <int COUNT>
INLINE void powers_of_two(Vector<double> (&x)[COUNT]) {
    for (int k = 0; k < COUNT; k++)
        for (int i = 0; i < LANES<double>; i++) x[k][i] = exp2(x[k][i]);
}

// So many numbers more from the memory, from the next line of the cache on: vectors then lie in one line each.
template <class Real>
INLINE Real* next_line(Scratch<Real>& scratch, size_t numbers) {
    scratch.take(-(uintptr_t)scratch.take(0) % LINE / sizeof(Real));
    return scratch.take(numbers);
}

// The parameters with channels side by side: (rank, channels), (channels), (channels); and decay rates, of powers of 2, N vectors for every
// vector of channels. Zeros where channels end.
template <class Real>
struct Packed {
    Scratch<Real> scratch;
    Real *weight, *bias, *skip, *a;

    explicit Packed(const Scan<Real>& s) : scratch(s.wide() * (s.rank + s.state + 2) + 4 * LINE) {
        weight = next_line(scratch, s.wide() * s.rank);
        for (Real** each : {&bias, &skip}) *each = next_line(scratch, s.wide());
        a = next_line(scratch, s.wide() * s.state);
        for (long c = 0; c < s.channels; c++) {
            for (long r = 0; r < s.rank; r++) weight[r * s.wide() + c] = s.weight[c * s.rank + r];
            bias[c] = s.bias[c], skip[c] = s.skip[c];
            for (long n = 0; n < s.state; n++) a[s.rate(c, n)] = s.a[c * s.state + n] * Real(1.4426950408889634);
        }
    }
};

// A block of tokens and some channels: where they lie. Rows of a token are visited from end to end, as far as they go.
struct Place {
    long first, tokens;
    long channel, channels;
};

// Calls work(Place, the one after it) for the chunks of a block that begins with the t-th token of a sequence; `next` is where its next
// block begins.
template <class Work>
INLINE void each_chunk(const Unit& unit, long t, long next, Work work) {
    const long tokens = unit.length - t < BLOCK ? unit.length - t : BLOCK;
    const auto place = [&](long first, long c) {
        return Place{unit.begin + first, tokens, unit.first + c, unit.count - c < CHUNK ? unit.count - c : CHUNK};
    };
    for (long c = 0; c < unit.count; c += CHUNK) work(place(t, c), c + CHUNK < unit.count ? place(t, c + CHUNK) : place(next, 0));
}

// Asks for the rows of a place, which lie too far apart for the processor to foresee them.
template <class Real>
INLINE void fetch_rows(Place at, const Real* from, long row) {
    fetch(from + at.first * row + at.channel, row, at.tokens, at.channels);
}

// (BLOCK, CHUNK): what stands between the passes over a block.
template <class Real>
struct alignas(LINE) Rows {
    Real at[BLOCK * CHUNK];

    METHOD Vector<Real> get(long i, long c) const { return load(at + i * CHUNK + c, Whole{}); }
    METHOD void put(long i, long c, Vector<Real> value) { store(at + i * CHUNK + c, value, Whole{}); }
};

// Steps, what is written into the state (dt x), and what is read from it.
template <class Real>
struct Inside {
    Rows<Real> dt, u, read;
};

// Calls work(token, its number in the block, vectors) for every token. vectors(what) calls what(number in the chunk, Whole or Part) for
// every vector of its row.
template <class Real, class Work>
INLINE void each_row(Place at, Work work) {
    for (long i = 0; i < at.tokens; i++) work(at.first + i, i, [&](auto what) { each_vector<Real>(at.channels, what); });
}

// Gives the steps of a block without softplus to `dt`.
template <class Real>
static void find_steps(const Scan<Real>& s, const Packed<Real>& p, Place at, Rows<Real>& dt) {
    const int columns = (int)padded<Real>(at.channels);
    product<false>((int)at.tokens, columns, (int)s.rank, s.low(at.first), s.row(), 1, p.weight + at.channel, s.wide(), dt.at, CHUNK);
}

// Adds the biases to steps x, and gives exp(-|x|), which softplus needs: a pass of its own, as the processor works on several vectors at
// the same time only if little is to be done with each.
template <class Real>
static void find_exponentials(const Packed<Real>& p, Place at, Rows<Real>& x, Rows<Real>& e) {
    using V = Vector<Real>;
    const Real* bias = p.bias + at.channel;
    each_row<Real>(at, [&](long, long i, auto vectors) {
        vectors([&](long c, auto) {
            const V sum = x.get(i, c) + load(bias + c, Whole{});
            x.put(i, c, sum);
            e.put(i, c, exponential(sum > V{} ? -sum : sum));
        });
    });
}

// Gives the decays of COUNT numbers of the state in a block, for the c-th vector of the chunk.
template <int COUNT, class Real>
static void find_decays(const Rows<Real>& dt, long tokens, long c, const Real* a, Real* decays) {
    constexpr int SIDE = COUNT % 2 ? 1 : 2, L = LANES<Real>;
    for (long i = 0; i < tokens; i++, decays += COUNT * L)
        for (int k = 0; k < COUNT; k += SIDE) {
            Vector<Real> x[SIDE];
            for (int j = 0; j < SIDE; j++) x[j] = dt.get(i, c) * load(a + (k + j) * L, Whole{});
            powers_of_two(x);
            for (int j = 0; j < SIDE; j++) store(decays + (k + j) * L, x[j], Whole{});
        }
}

// Takes COUNT numbers of the state, from the n-th, for the c-th vector of the chunk through a block, and adds what is read from them.
// before: what they are before the block. states: gets what they are after it; or, to KEEP, before it and after every token.
template <int COUNT, bool KEEP, class Real>
static void read_some(
    const Scan<Real>& s, Place at, long n, long c, const Real* a, const Real* before, Real* states, Inside<Real>& inside, Real* decays) {
    using V = Vector<Real>;
    const Whole all;
    const long L = LANES<Real>, row = s.row();
    find_decays<COUNT>(inside.dt, at.tokens, c, a, decays);
    V now[COUNT];
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++) {
        now[k] = load(before + k * L, all);
        if constexpr (KEEP) store(states + k * L, now[k], all);
    }
    const Real *from_b = s.b(at.first) + n, *from_c = s.c(at.first) + n;
    for (long i = 0; i < at.tokens; i++, from_b += row, from_c += row, decays += COUNT * L) {
        const V u = inside.u.get(i, c);
        V read = inside.read.get(i, c);
        if constexpr (KEEP) states += COUNT * L;
        for (int k = 0; k < COUNT; k++) {
            now[k] = load(decays + k * L, all) * now[k] + u * from_b[k];
            read += now[k] * from_c[k];
            if constexpr (KEEP) store(states + k * L, now[k], all);
        }
        inside.read.put(i, c, read);
    }
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++)
        if constexpr (!KEEP) store(states + k * L, now[k], all);
}

// Calls work(n, how many) for the numbers of a state, GROUP at a time; how many: a constant.
template <int COUNT>
struct Count {
    static constexpr int value = COUNT;
};
template <class Work>
INLINE void each_group(long state, Work work) {
    long n = 0;
    for (; n + GROUP <= state; n += GROUP) work(n, Count<GROUP>{});
    for (; n < state; n++) work(n, Count<1>{});
}

// The states before a block: kept by the forward pass for the backward one. Those before the first block are zero.
template <class Real>
INLINE Real* kept_state(const Scan<Real>& s, const Unit& unit, long block, long channel, Real* kept) {
    return kept + (s.kept_begins[unit.sequence] + block - 1) * s.wide() * s.state + channel * s.state;
}
