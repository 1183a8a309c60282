// Vectors of LANES numbers for float and double alike, and the few functions that the kernels need of them.
//
// Compiled once per instruction set (see setup.py), which decides how many numbers a vector has. Nothing of the standard library is
// linked, so that one file runs wherever the C library does.
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(VECTOR_BYTES)  // given, to test the width of another processor on this one
#elif defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#define INLINE static inline __attribute__((always_inline))
#define METHOD inline __attribute__((always_inline))

constexpr int LINE = 64;  // bytes, of the cache

template <class Real>
struct Vectors;
template <>
struct Vectors<float> {
    typedef float Type __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t Whole __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
};
template <>
struct Vectors<double> {
    typedef double Type __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
};
template <class Real>
using Vector = typename Vectors<Real>::Type;
template <class Real>
constexpr int LANES = VECTOR_BYTES / sizeof(Real);

// How many numbers of a vector count: all of them, or the first few at the end of a row.
struct Whole {};
struct Part {
    int count;
};

template <class Real>
INLINE Vector<Real> load(const Real* from, Whole) {
    return *(const Vector<Real>*)from;
}
template <class Real>
INLINE Vector<Real> load(const Real* from, Part part) {
    Real all[LANES<Real>] = {};
    for (int i = 0; i < part.count; i++) all[i] = from[i];
    return *(const Vector<Real>*)all;
}
template <class Real>
INLINE void store(Real* to, Vector<Real> value, Whole) {
    *(Vector<Real>*)to = value;
}
template <class Real>
INLINE void store(Real* to, Vector<Real> value, Part part) {
    Real all[LANES<Real>];
    *(Vector<Real>*)all = value;
    for (int i = 0; i < part.count; i++) to[i] = all[i];
}

// Calls work(place, Whole or Part) for every vector of a row of `count` numbers.
template <class Real, class Work>
INLINE void each_vector(long count, Work work) {
    long place = 0;
    for (; place + LANES<Real> <= count; place += LANES<Real>) work(place, Whole{});
    if (place < count) work(place, Part{(int)(count - place)});
}

template <class Real>
INLINE Vector<Real> every(Real value) {
    return value - Vector<Real>{};
}

template <class Real>
INLINE Real sum_of(Vector<Real> value) {
    Real total = 0;
    for (int i = 0; i < LANES<Real>; i++) total += value[i];
    return total;
}

// The smallest multiple of LANES that is no smaller: rows of scratch arrays have such a length, so that every vector is a whole one.
template <class Real>
constexpr long padded(long count) {
    return (count + LANES<Real> - 1) / LANES<Real> * LANES<Real>;
}

// The same in lines of the cache, an odd number of them. Rows of a length that powers of two divide share a few places of the nearest
// cache, and a column of many such rows does not stay there.
template <class Real>
constexpr long spread(long count) {
    return ((count * sizeof(Real) + LINE - 1) / LINE | 1) * (LINE / sizeof(Real));
}

// Those of a row's numbers from `place` on that stand at or before `last`, and zeros.
template <class Real>
INLINE Vector<Real> up_to(long last, long place, Vector<Real> value) {
    Vector<Real> at;
    for (int i = 0; i < LANES<Real>; i++) at[i] = (Real)i;
    return at <= every((Real)(last - place)) ? value : Vector<Real>{};
}

// The larger and the smaller of two numbers; the second one where either is none.
INLINE Vector<float> larger(Vector<float> a, Vector<float> b) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
    return (Vector<float>)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__) && VECTOR_BYTES == 32
    return (Vector<float>)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return a > b ? a : b;
#endif
}
INLINE Vector<float> smaller(Vector<float> a, Vector<float> b) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
    return (Vector<float>)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__) && VECTOR_BYTES == 32
    return (Vector<float>)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return a < b ? a : b;
#endif
}

INLINE Vector<double> larger(Vector<double> a, Vector<double> b) { return a > b ? a : b; }

// exp in float32 to within 2 units in the last place: 2^n times a polynomial on half a binade around 1 (Cody and Waite 1980), whose terms are
// paired, since a processor waits for the longest row of steps of which each needs the one before. Below -87 and above 88 it stays as there.
INLINE Vector<float> bounded_exponential(Vector<float> x) {
    using V = Vector<float>;
    typedef Vectors<float>::Whole I;
    const V magic = every(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    V inside = smaller(every(88.0f), larger(every(-87.0f), x));
    V shifted = inside * 1.44269504f + magic;
    V power = shifted - magic;
    V r = inside - power * 0.693145752f;
    r = r - power * 1.42860677e-6f;
    V square = r * r;
    V highest = r * 1.9875691500e-4f + 1.3981999507e-3f, middle = r * 8.3334519073e-3f + 4.1665795894e-2f;
    V lowest = r * 1.6666665459e-1f + 5.0000001201e-1f;
    V p = ((highest * square + middle) * square + lowest) * square + (r + 1.0f);
    return (V)((I)p + ((I)shifted << 23));  // the power goes into the exponent
}
INLINE Vector<double> bounded_exponential(Vector<double> x) {
    for (int i = 0; i < LANES<double>; i++) x[i] = exp(x[i]);
    return x;
}

// exp, and 0 below -87.
INLINE Vector<float> exponential(Vector<float> x) {
    return x < every(-87.0f) ? Vector<float>{} : bounded_exponential(x);
}
INLINE Vector<double> exponential(Vector<double> x) { return bounded_exponential(x); }

template <class V>
INLINE V sigmoid(V x) {
    return 1 / (1 + bounded_exponential(-x));
}

INLINE float root(float x) { return sqrtf(x); }
INLINE double root(double x) { return sqrt(x); }
INLINE float power_of_e(float x) { return expf(x); }
INLINE double power_of_e(double x) { return exp(x); }

// Working memory of one thread, all zero at first, cut into arrays; freed at the end of the block.
template <class Real>
class Scratch {
    Real* all;
    Real* next;

   public:
    explicit Scratch(size_t numbers) : all((Real*)calloc(numbers, sizeof(Real))), next(all) {}
    ~Scratch() { free(all); }
    Scratch(const Scratch&) = delete;
    Real* take(size_t numbers) {
        Real* found = next;
        next += numbers;
        return found;
    }
};

// One of as many arrays as threads, all zero.
template <class Real>
static Real* cleared(Real* of_all, long numbers, long number) {
    return (Real*)memset(of_all + number * numbers, 0, numbers * sizeof(Real));
}

// Asks for rows that are worked on next, in the order in which they lie in memory.
template <class Real>
INLINE void fetch(const Real* from, long row, long rows, long width) {
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < width; j += 64 / sizeof(Real)) __builtin_prefetch(from + i * row + j);
}

// Both precisions of a kernel, under names that ctypes finds.
#define EXPORT extern "C" __attribute__((visibility("default")))
