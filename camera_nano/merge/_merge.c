/* The loops of a merge: tiles matched by absolute differences, their shifts made sub-pixel, and captures averaged where
   they agree with the reference. `align.py` and `stack.py` say what each step is for, and have the same in numpy.

   Vectors are in the extension that GCC and Clang share, so SSE and NEON come from one source. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("arch=x86-64-v3", "default"))) /* chosen when it is loaded */
#else
#define FAST
#endif
#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

#pragma GCC diagnostic ignored "-Wpsabi" /* wide vectors are passed to inlined functions alone */
typedef float f4 __attribute__((vector_size(16)));
typedef float f4_any __attribute__((vector_size(16), aligned(4))); /* wherever it lies */
typedef int32_t i4 __attribute__((vector_size(16)));
typedef float f8 __attribute__((vector_size(32)));
typedef float f8_any __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef uint8_t u8_any __attribute__((vector_size(8), aligned(1)));

#define TILE 16  /* pixels a side, of a tile that is matched */
#define WINDOW 24 /* of what is looked at around it to make its shift sub-pixel */

EXPORT int32_t camera_nano_merge(void) { return 4; } /* `kernel.py` refuses any other */

INLINE float within(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }
INLINE int32_t between(int32_t x, int32_t low, int32_t high) { return x < low ? low : (x > high ? high : x); }
INLINE f4 least(f4 a, f4 b) { return (f4)(((i4)a & (a < b)) | ((i4)b & ~(a < b))); }
INLINE float lower(float a, float b) { return a < b ? a : b; }
#define LEAST8(a, b) (f8)(((i8)(a) & ((a) < (b))) | ((i8)(b) & ~((a) < (b))))
#define MOST8(a, b) (f8)(((i8)(a) & ((a) > (b))) | ((i8)(b) & ~((a) > (b))))
INLINE f4 most(f4 a, f4 b) { return (f4)(((i4)a & (a > b)) | ((i4)b & ~(a > b))); }

/* Two pictures of `stride` bytes a row with `pad` pixels of margin around width x height, and (n, 2) tile corners x, y. */
typedef struct {
    const uint8_t *own, *other;
    const int32_t *corner;
    int32_t stride, pad, width, height, n;
} Pair;

/* Sum of absolute differences less their mean, so that an exposure told wrong does not matter. */
INLINE int32_t difference(const Pair *p, const uint8_t *own, int32_t x, int32_t y) {
    const uint8_t *other = p->other + (ptrdiff_t)(y + p->pad) * p->stride + x + p->pad;
    int16_t apart[TILE][TILE];
    int32_t sum = 0, total = 0;
    for (int32_t i = 0; i < TILE; i++, own += p->stride, other += p->stride)
        for (int32_t j = 0; j < TILE; j++) apart[i][j] = (int16_t)(own[j] - other[j]), total += apart[i][j];
    const int16_t mean = (int16_t)((total + TILE * TILE / 2) >> 8);
    for (int32_t i = 0; i < TILE; i++)
        for (int32_t j = 0; j < TILE; j++) sum += abs(apart[i][j] - mean);
    return sum;
}

/* Whole-pixel shifts: the best of k guesses, then the best within `radius` of it. Departing from what the whole picture
   does costs `penalty` a pixel, up to `cap` pixels. */
FAST EXPORT void camera_nano_search(const Pair *p, const float *expected, const int32_t *guesses, int32_t k,
                                    int32_t radius, float penalty, float cap, int32_t *shift, float *cost) {
    for (int32_t t = 0; t < p->n; t++) {
        const int32_t x0 = p->corner[2 * t], y0 = p->corner[2 * t + 1];
        const uint8_t *own = p->own + (ptrdiff_t)(y0 + p->pad) * p->stride + x0 + p->pad;
        int32_t best_x = 0, best_y = 0, from_x = 0, from_y = 0;
        float lowest = INFINITY;
        for (int32_t g = 0, around = (2 * radius + 1) * (2 * radius + 1); g < k + around; g++) {
            if (g == k) from_x = best_x, from_y = best_y;
            int32_t dx = g < k ? guesses[2 * (t * k + g)] : from_x + (g - k) % (2 * radius + 1) - radius;
            int32_t dy = g < k ? guesses[2 * (t * k + g) + 1] : from_y + (g - k) / (2 * radius + 1) - radius;
            dx = between(dx, -x0 - p->pad, p->width + p->pad - TILE - x0);
            dy = between(dy, -y0 - p->pad, p->height + p->pad - TILE - y0);
            const float away = hypotf((float)dx - expected[2 * t], (float)dy - expected[2 * t + 1]);
            const float found = (float)difference(p, own, x0 + dx, y0 + dy) + penalty * (away < cap ? away : cap);
            if (found < lowest) lowest = found, best_x = dx, best_y = dy;
        }
        shift[2 * t] = best_x, shift[2 * t + 1] = best_y, cost[t] = lowest;
    }
}

INLINE f8 eight(const uint8_t *p) { return __builtin_convertvector(*(const u8_any *)p, f8); }
INLINE float sum8(f8 a) { return ((a[0] + a[4]) + (a[1] + a[5])) + ((a[2] + a[6]) + (a[3] + a[7])); }

/* Sub-pixel shifts: Gauss-Newton on squared differences less their mean, pulled towards `expected` by `pull`. */
FAST EXPORT void camera_nano_refine(const Pair *p, const float *expected, float pull, int32_t n_steps, float *shift) {
    enum { EDGE = (WINDOW - TILE) / 2, PARTS = WINDOW / 8 };
    const float share = 1.0f / (WINDOW * WINDOW);
    const f8 none = {0};
    f8 seen[WINDOW][PARTS], across[WINDOW][PARTS], down[WINDOW][PARTS];
    for (int32_t t = 0; t < p->n; t++) {
        const int32_t x0 = p->corner[2 * t] - EDGE, y0 = p->corner[2 * t + 1] - EDGE;
        f8 xx8 = none, xy8 = none, yy8 = none, sx8 = none, sy8 = none;
        for (int32_t i = 0; i < WINDOW; i++) {
            const uint8_t *own = p->own + (ptrdiff_t)(y0 + i + p->pad) * p->stride + x0 + p->pad;
            for (int32_t k = 0; k < PARTS; k++, own += 8) {
                const f8 gx = (eight(own + 1) - eight(own - 1)) * 0.5f;
                const f8 gy = (eight(own + p->stride) - eight(own - p->stride)) * 0.5f;
                seen[i][k] = eight(own), across[i][k] = gx, down[i][k] = gy;
                xx8 += gx * gx, xy8 += gx * gy, yy8 += gy * gy, sx8 += gx, sy8 += gy;
            }
        }
        const float sx = sum8(sx8), sy = sum8(sy8), xy = sum8(xy8) - sx * sy * share;
        const float xx = sum8(xx8) + pull - sx * sx * share, yy = sum8(yy8) + pull - sy * sy * share;
        const float start_x = shift[2 * t], start_y = shift[2 * t + 1], scale = 1 / (xx * yy - xy * xy);
        float dx = start_x, dy = start_y;
        for (int32_t step = 0; step < n_steps; step++) {
            const float x = within((float)x0 + dx, -(float)p->pad, (float)(p->width + p->pad - WINDOW - 2));
            const float y = within((float)y0 + dy, -(float)p->pad, (float)(p->height + p->pad - WINDOW - 2));
            const int32_t ix = (int32_t)floorf(x), iy = (int32_t)floorf(y);
            const float fx = x - (float)ix, fy = y - (float)iy;
            f8 bx8 = none, by8 = none, all8 = none;
            for (int32_t i = 0; i < WINDOW; i++) {
                const uint8_t *a = p->other + (ptrdiff_t)(iy + i + p->pad) * p->stride + ix + p->pad, *b = a + p->stride;
                for (int32_t k = 0; k < PARTS; k++, a += 8, b += 8) {
                    const f8 upper = eight(a) + (eight(a + 1) - eight(a)) * fx;
                    const f8 lower = eight(b) + (eight(b + 1) - eight(b)) * fx;
                    const f8 e = seen[i][k] - upper - (lower - upper) * fy;
                    bx8 += across[i][k] * e, by8 += down[i][k] * e, all8 += e;
                }
            }
            const float sum = sum8(all8) * share;
            const float bx = sum8(bx8) + pull * (expected[2 * t] - dx) - sum * sx;
            const float by = sum8(by8) + pull * (expected[2 * t + 1] - dy) - sum * sy;
            dx += within((bx * yy - by * xy) * scale, -1, 1), dy += within((by * xx - bx * xy) * scale, -1, 1);
        }
        if (fabsf(dx - start_x) < 2 && fabsf(dy - start_y) < 2) shift[2 * t] = dx, shift[2 * t + 1] = dy;
    }
}

/* What is averaged: blocks of the picture, so that all a block needs stays in the processor's cache. Captures are compared
   by cells of 2 x 2 pixels, in boxes of 3 x 3 cells. */
#define SIDE 64
#define HALO 4 /* pixels: a box around a cell, and one cell by which disagreement spreads */
#define ROW (SIDE + 2 * HALO)
#define CELLS (ROW / 2)
#define FETCHED 116 /* the part of a capture that a block may come from */
#define PHASES 64

typedef struct {
    const void *pixels; /* (height, width, 3) uint8, uint16 or float */
    const float *table; /* (2, codes): its own linear light, how far it is from clipping; none for float */
    const float *flow;  /* (grid rows, grid columns, 2): shift x, y in pixels */
    float gain[4];      /* of R, G, B to the scale of the reference, and 1 */
    float white;        /* light that both it and the reference hold, on that scale */
    float box[2];       /* variance of the difference of two boxes: slope by light, and at none */
    float own[2];       /* variance of its light on that scale, likewise */
    float least;        /* how much it counts where all are clipped */
    float darker;       /* 1 where it holds more than the reference even if clipped, else 0 */
    int32_t kind, codes; /* bytes a sample: 1, 2 or 4; and how many codes there are */
} Layer;

typedef struct {
    const Layer *layers; /* the reference first */
    const float *taps;   /* (PHASES + 1, 4): weights of four neighbours */
    float *out;          /* (height, width, 3) */
    float *counts;       /* of this strip, (n + 1): pixels where each counts, and where any does */
    int32_t n, width, height, grid_w;
    float cell_px, origin_px; /* between grid points, and where the first is */
    float high, low;          /* largest channel of its own light from which a pixel is clipped, and below which it is not */
    float edge, step;         /* shares that may differ for other reasons: of the variance in a box, of the squared light */
    float sure, refused;      /* squared distance from which a capture counts less, and no more */
    float near, far;          /* light by which a clipped pixel and a darker capture may differ, likewise */
} Job;

typedef struct {
    f4 own[ROW][ROW], moved[ROW][ROW], total[SIDE][SIDE];
    f4 fetched[FETCHED][FETCHED];
    f4 cell[CELLS][CELLS], square[CELLS][CELLS], mean[CELLS][CELLS], spread[CELLS][CELLS], sums[CELLS][CELLS];
    f8 taps[PHASES + 1][2];
    float alike[CELLS][CELLS], row[CELLS][CELLS], agree[SIDE][SIDE];
    float weight[SIDE][SIDE], left[SIDE][SIDE]; /* sum of weights; how far nobody but the reference is to be trusted */
    float column[ROW], grid_fx[ROW];
    int32_t n_parts, part[ROW + 1], grid_x[ROW]; /* pixels between two columns of the flow's grid */
    uint8_t any[SIDE][SIDE];
} Work;

EXPORT int32_t camera_nano_work_bytes(void) { return (int32_t)sizeof(Work); }

/* Part of a capture as light on the reference's scale, and in the fourth lane how far it is from clipping. */
INLINE void fetch_kind(const Job *job, const Layer *l, int32_t kind, int32_t left, int32_t top, int32_t across,
                       int32_t down, f4 *to, int32_t stride) {
    const float rate = 1 / (job->high - job->low), *table = l->table, *clear = table + l->codes;
    const f4 gain = *(const f4_any *)l->gain;
    for (int32_t i = 0; i < down; i++) {
        const size_t row = (size_t)between(top + i, 0, job->height - 1) * (size_t)job->width;
        for (int32_t j = 0; j < across; j++) {
            const size_t at = 3 * (row + (size_t)between(left + j, 0, job->width - 1));
            f4 light;
            if (kind == 4) {
                const float *p = (const float *)l->pixels + at, most = p[0] > p[1] ? p[0] : p[1];
                light = (f4){p[0], p[1], p[2], within((job->high - (most > p[2] ? most : p[2])) * rate, 0, 1)};
            } else {
                const uint8_t *p = (const uint8_t *)l->pixels + at;
                const uint16_t *q = (const uint16_t *)l->pixels + at;
                const int32_t red = kind == 1 ? p[0] : q[0], green = kind == 1 ? p[1] : q[1], blue = kind == 1 ? p[2] : q[2];
                const int32_t most = red > green ? red : green;
                light = (f4){table[red], table[green], table[blue], clear[most > blue ? most : blue]};
            }
            light *= gain;
            to[i * stride + j] = light;
        }
    }
}

INLINE void fetch(const Job *job, const Layer *l, int32_t left, int32_t top, int32_t across, int32_t down,
                          f4 *to, int32_t stride) {
    if (l->kind == 1) fetch_kind(job, l, 1, left, top, across, down, to, stride);
    else if (l->kind == 2) fetch_kind(job, l, 2, left, top, across, down, to, stride);
    else fetch_kind(job, l, 4, left, top, across, down, to, stride);
}

INLINE f4 low_half(f8 a) { return (f4){a[0], a[1], a[2], a[3]}; }
INLINE f4 high_half(f8 a) { return (f4){a[4], a[5], a[6], a[7]}; }

/* Where the pixels of a row of a block lie in a capture, in pixels. */
INLINE void places(const Job *job, const Layer *l, int32_t row, const Work *w, f8 *xs, f8 *ys) {
    const float at = ((float)row - job->origin_px) / job->cell_px, fy = at - (float)(int32_t)at;
    const float *upper = l->flow + 2 * (ptrdiff_t)(int32_t)at * job->grid_w, *lower = upper + 2 * job->grid_w;
    float *x = (float *)xs, *y = (float *)ys;
    for (int32_t k = 0; k < w->n_parts; k++) {
        const float *a = upper + 2 * w->grid_x[k], *b = lower + 2 * w->grid_x[k];
        const float ul = a[0] + (b[0] - a[0]) * fy, du = a[2] + (b[2] - a[2]) * fy - ul;
        const float vl = a[1] + (b[1] - a[1]) * fy + (float)row, dv = a[3] + (b[3] - a[3]) * fy + (float)row - vl;
        for (int32_t j = w->part[k]; j < w->part[k + 1]; j++) {
            x[j] = w->column[j] + ul + du * w->grid_fx[j];
            y[j] = vl + dv * w->grid_fx[j];
        }
    }
}

/* The columns of a block, and the parts of it between two columns of the flow's grid. */
INLINE void divide(const Job *job, int32_t left, Work *w) {
    w->n_parts = 0;
    for (int32_t j = 0; j < ROW; j++) {
        w->column[j] = (float)between(left + j, 0, job->width - 1);
        const float at = (w->column[j] - job->origin_px) / job->cell_px;
        const int32_t grid_x = (int32_t)at;
        w->grid_fx[j] = at - (float)grid_x;
        if (j == 0 || grid_x != w->grid_x[w->n_parts - 1]) w->part[w->n_parts] = j, w->grid_x[w->n_parts++] = grid_x;
    }
    w->part[w->n_parts] = ROW;
}

/* A capture where the reference has a block: fetched whole, then interpolated by cubics (Keys 1981) that do not leave the
   range of the four nearest pixels. Those from outside get -1 in the fourth lane. */
INLINE void move(const Job *job, const Layer *l, int32_t top, Work *w) {
    const float half_x = 0.5f * (float)(job->width - 1), half_y = 0.5f * (float)(job->height - 1);
    const f8 none = {0}, one = none + 1;
    f8 xs[ROW / 8], ys[ROW / 8], outside[ROW / 8], low_x = none + INFINITY, low_y = low_x, high_x = -low_x, high_y = -low_x;
    i8 from[ROW / 8], phase_x[ROW / 8], phase_y[ROW / 8];
    for (int32_t i = 0; i < ROW; i = i < ROW - 1 && i + 8 > ROW - 1 ? ROW - 1 : i + 8) {
        places(job, l, between(top + i, 0, job->height - 1), w, xs, ys);
        for (int32_t k = 0; k < ROW / 8; k++) {
            low_x = LEAST8(low_x, xs[k]), high_x = MOST8(high_x, xs[k]);
            low_y = LEAST8(low_y, ys[k]), high_y = MOST8(high_y, ys[k]);
        }
    }
    float x0 = low_x[0], x1 = high_x[0], y0 = low_y[0], y1 = high_y[0];
    for (int32_t k = 1; k < 8; k++) {
        x0 = x0 < low_x[k] ? x0 : low_x[k], x1 = x1 > high_x[k] ? x1 : high_x[k];
        y0 = y0 < low_y[k] ? y0 : low_y[k], y1 = y1 > high_y[k] ? y1 : high_y[k];
    }
    const int32_t from_x = (int32_t)floorf(x0) - 2, from_y = (int32_t)floorf(y0) - 2;
    const int32_t across = between((int32_t)floorf(x1) + 4 - from_x, 8, FETCHED);
    const int32_t down = between((int32_t)floorf(y1) + 4 - from_y, 8, FETCHED);
    fetch(job, l, from_x, from_y, across, down, &w->fetched[0][0], FETCHED);
    const f8 last_x = none + ((float)across - 3.01f), last_y = none + ((float)down - 3.01f);
    for (int32_t i = 0; i < ROW; i++) {
        places(job, l, between(top + i, 0, job->height - 1), w, xs, ys);
        for (int32_t k = 0; k < ROW / 8; k++) {
            const f8 x = xs[k] - (float)from_x, y = ys[k] - (float)from_y;
            const f8 x_high = MOST8(x, one), y_high = MOST8(y, one);
            const f8 at_x = LEAST8(x_high, last_x), at_y = LEAST8(y_high, last_y);
            const i8 ix = __builtin_convertvector(at_x, i8), iy = __builtin_convertvector(at_y, i8);
            from[k] = (iy - 1) * FETCHED + ix - 1;
            phase_x[k] = __builtin_convertvector((at_x - __builtin_convertvector(ix, f8)) * PHASES + 0.5f, i8);
            phase_y[k] = __builtin_convertvector((at_y - __builtin_convertvector(iy, f8)) * PHASES + 0.5f, i8);
            /* outside, or where the flow jumps further than was fetched */
            const f8 off_x = xs[k] - half_x, off_y = ys[k] - half_y, missed_x = x - at_x, missed_y = y - at_y;
            const f8 off = MOST8(off_x * off_x - (half_x + 0.5f) * (half_x + 0.5f), off_y * off_y - (half_y + 0.5f) * (half_y + 0.5f));
            const f8 missed = missed_x * missed_x + missed_y * missed_y - 0.25f;
            outside[k] = MOST8(off, missed);
        }
        for (int32_t j = 0; j < ROW; j++) {
                const f4 *p = &w->fetched[0][0] + ((const int32_t *)from)[j];
                const f8 t0 = w->taps[((const int32_t *)phase_x)[j]][0], t1 = w->taps[((const int32_t *)phase_x)[j]][1];
                const f4 ty = *(const f4_any *)(job->taps + 4 * ((const int32_t *)phase_y)[j]);
#define AT(k) (*(const f8_any *)(p + (k)))
                const f8 two = (AT(0) * t0 + AT(2) * t1) * ty[0] + (AT(FETCHED) * t0 + AT(FETCHED + 2) * t1) * ty[1] +
                               (AT(2 * FETCHED) * t0 + AT(2 * FETCHED + 2) * t1) * ty[2] +
                               (AT(3 * FETCHED) * t0 + AT(3 * FETCHED + 2) * t1) * ty[3];
                const f8 a = AT(FETCHED + 1), b = AT(2 * FETCHED + 1), low = LEAST8(a, b), high = MOST8(a, b);
#undef AT
                f4 found = low_half(two) + high_half(two);
                found = most(least(found, most(low_half(high), high_half(high))), least(low_half(low), high_half(low)));
                if (((const float *)outside)[j] > 0) found[3] = -1;
                w->moved[i][j] = found;
        }
    }
}

/* Means of boxes of 3 x 3 cells, of sums of cells of 4 pixels. */
INLINE void box_means(f4 (*from)[CELLS], f4 (*to)[CELLS]) {
    f4 column[CELLS];
    for (int32_t i = 1; i < CELLS - 1; i++) {
        for (int32_t j = 0; j < CELLS; j++) column[j] = from[i - 1][j] + from[i][j] + from[i + 1][j];
        for (int32_t j = 1; j < CELLS - 1; j++) to[i][j] = (column[j - 1] + column[j] + column[j + 1]) * (1.0f / 36);
    }
}

/* Of the reference: its light, the mean of it in boxes, and how much that may differ for other reasons than noise. */
INLINE void look(const Job *job, int32_t left, int32_t top, Work *w) {
    const f4 none = {0, 0, 0, 0};
    fetch(job, job->layers, left, top, ROW, ROW, &w->own[0][0], ROW);
    for (int32_t i = 0; i < CELLS; i++)
        for (int32_t j = 0; j < CELLS; j++) {
            const f4 a = w->own[2 * i][2 * j], b = w->own[2 * i][2 * j + 1];
            const f4 c = w->own[2 * i + 1][2 * j], d = w->own[2 * i + 1][2 * j + 1];
            w->cell[i][j] = a + b + c + d, w->square[i][j] = a * a + b * b + c * c + d * d;
        }
    box_means(w->cell, w->mean);
    box_means(w->square, w->spread);
    for (int32_t i = 1; i < CELLS - 1; i++)
        for (int32_t j = 1; j < CELLS - 1; j++) {
            const f4 squared = w->mean[i][j] * w->mean[i][j];
            w->spread[i][j] = most(w->spread[i][j] - squared, none) * job->edge + squared * job->step;
        }
}

/* How far a moved capture agrees with the reference: 1 where their boxes differ by no more than noise and a small
   misalignment explain, 0 where they surely differ; then the least of a cell's neighbourhood, and by pixel. */
INLINE void compare(const Job *job, const Layer *l, Work *w) {
    const float rate = 1 / (job->refused - job->sure);
    const f4 white = {l->white, l->white, l->white, INFINITY};
    for (int32_t i = 0; i < CELLS; i++)
        for (int32_t j = 0; j < CELLS; j++) {
            const f4 *a = &w->own[2 * i][2 * j], *b = &w->moved[2 * i][2 * j];
            const f4 sum = least(a[0], white) + least(a[1], white) + least(a[ROW], white) + least(a[ROW + 1], white);
            w->cell[i][j] = sum - least(b[0], white) - least(b[1], white) - least(b[ROW], white) - least(b[ROW + 1], white);
            const f4 outside = least(least(b[0], b[1]), least(b[ROW], b[ROW + 1]));
            w->row[i][j] = outside[3];
        }
    box_means(w->cell, w->sums);
    for (int32_t i = 1; i < CELLS - 1; i++)
        for (int32_t j = 1; j < CELLS - 1; j++) {
            const f4 allowed = w->mean[i][j] * l->box[0] + l->box[1] + w->spread[i][j];
            const f4 distance = w->sums[i][j] * w->sums[i][j] / allowed;
            const float found = within((job->refused - distance[0] - distance[1] - distance[2]) * rate, 0, 1);
            w->alike[i][j] = w->row[i][j] < 0 ? 0 : found;
        }
    for (int32_t i = 2; i < CELLS - 2; i++) {
        float least_of[CELLS];
        for (int32_t j = 1; j < CELLS - 1; j++) least_of[j] = lower(w->alike[i][j], lower(w->alike[i - 1][j], w->alike[i + 1][j]));
        for (int32_t j = 2; j < CELLS - 2; j++) w->row[i][j] = lower(least_of[j], lower(least_of[j - 1], least_of[j + 1]));
    }
    for (int32_t i = 0; i < SIDE; i++)
        for (int32_t j = 0; j < SIDE; j++) w->agree[i][j] = w->row[i / 2 + 2][j / 2 + 2];
}

/* How far a darker capture's pixel may be what clipped here, whatever its neighbourhood says. */
INLINE float fills(float near, float far, float white, f4 own, f4 moved) {
    const f4 limit = {white, white, white, white}, apart = least(moved, limit) - least(own, limit);
    const f4 size = most(apart, -apart);
    const float most_of = size[0] > size[1] ? size[0] : size[1];
    return (1 - own[3]) * within((far - (size[2] > most_of ? size[2] : most_of)) / (far - near), 0, 1);
}

INLINE void add(const Job *job, int32_t k, int32_t rows, int32_t columns, Work *w) {
    const Layer *own = job->layers, *l = own + k;
    const int32_t is_as_noisy = own->own[0] == l->own[0] && own->own[1] == l->own[1];
    int32_t count = 0;
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < columns; j++) {
            const f4 moved = w->moved[i + HALO][j + HALO];
            float worth = 1;
            if (!is_as_noisy) {
                const f4 mean = w->mean[i / 2 + 2][j / 2 + 2];
                const float light = (mean[0] + mean[1] + mean[2]) * (1.0f / 3);
                worth = (own->own[0] * light + own->own[1]) / (l->own[0] * light + l->own[1]);
            }
            const float clear = moved[3] > 0 ? moved[3] : 0;
            float agree = w->agree[i][j];
            if (l->darker && w->own[i + HALO][j + HALO][3] < 1) { /* outside it, `moved` is its edge */
                const float filled = fills(job->near, job->far, l->white, w->own[i + HALO][j + HALO], moved);
                agree = agree > filled ? agree : filled;
            }
            const float weight = agree * (clear * worth + l->least);
            w->total[i][j] += moved * weight;
            w->weight[i][j] += weight;
            w->left[i][j] *= 1 - agree * (clear > l->darker ? clear : l->darker);
            const int32_t counts = agree * clear > 0.5f;
            count += counts;
            w->any[i][j] |= (uint8_t)counts;
        }
    job->counts[k] += (float)count;
}

INLINE void finish(const Job *job, int32_t left, int32_t top, int32_t rows, int32_t columns, Work *w) {
    int32_t any = 0;
    for (int32_t i = 0; i < rows; i++) {
        float *out = job->out + 3 * ((size_t)(top + i) * (size_t)job->width + (size_t)left);
        for (int32_t j = 0; j < columns; j++, out += 3) {
            const f4 own = w->own[i + HALO][j + HALO];
            const float weight = own[3] + (1 - own[3]) * w->left[i][j] + job->layers->least;
            const f4 light = (w->total[i][j] + own * weight) * (1 / (w->weight[i][j] + weight));
            out[0] = light[0], out[1] = light[1], out[2] = light[2];
            any += w->any[i][j];
        }
    }
    job->counts[job->n] += (float)any;
}

/* The rows of blocks from `first` on, `last` excluded. */
FAST EXPORT void camera_nano_stack(const Job *job, Work *w, int32_t first, int32_t last) {
    const f4 none = {0, 0, 0, 0};
    for (int32_t k = 0; k <= PHASES; k++) {
        const float *t = job->taps + 4 * k;
        w->taps[k][0] = (f8){t[0], t[0], t[0], t[0], t[1], t[1], t[1], t[1]};
        w->taps[k][1] = (f8){t[2], t[2], t[2], t[2], t[3], t[3], t[3], t[3]};
    }
    for (int32_t top = first * SIDE; top < last * SIDE && top < job->height; top += SIDE)
        for (int32_t left = 0; left < job->width; left += SIDE) {
            const int32_t rows = between(job->height - top, 1, SIDE), columns = between(job->width - left, 1, SIDE);
            divide(job, left - HALO, w);
            look(job, left - HALO, top - HALO, w);
            for (int32_t i = 0; i < SIDE; i++)
                for (int32_t j = 0; j < SIDE; j++)
                    w->total[i][j] = none, w->weight[i][j] = 0, w->left[i][j] = 1, w->any[i][j] = 0;
            for (int32_t k = 1; k < job->n; k++) {
                move(job, job->layers + k, top - HALO, w);
                compare(job, job->layers + k, w);
                add(job, k, rows, columns, w);
            }
            finish(job, left, top, rows, columns, w);
        }
}

/* A frame whose clipped light is filled from a darker one, both of 8 bits, as `filling.py` has it. */
typedef struct {
    const uint8_t *own, *darker; /* (height, width, 3) */
    const uint16_t *codes;       /* 16-bit code values of the frame's codes, as exposed */
    const uint16_t *roots;       /* of light, by `n_roots` steps of its fourth root */
    const float *light, *tables, *clear; /* of a code: its light, the darker frame's R, G and B, how far from clipping */
    const float *flow;           /* as of a layer */
    uint16_t *out;
    int32_t width, height, grid_w, grid_h;
    float cell_px, origin_px;
    float exposure, white, near, far, n_roots;
} Fill;

INLINE f4 light_at(const Fill *f, int32_t x, int32_t y) {
    const uint8_t *p = f->darker + 3 * ((size_t)y * (size_t)f->width + (size_t)x);
    return (f4){f->tables[p[0]], f->tables[256 + p[1]], f->tables[512 + p[2]], 0};
}

INLINE f4 shift_at(const Fill *f, int32_t x, int32_t y) {
    const float *p = f->flow + 2 * (ptrdiff_t)(y * f->grid_w + x);
    return (f4){p[0], p[1], 0, 0};
}

/* The darker frame's light where the frame has a pixel; beyond its edge it goes on. */
INLINE f4 darker_at(const Fill *f, int32_t x, int32_t y) {
    const float gx = ((float)x - f->origin_px) / f->cell_px, gy = ((float)y - f->origin_px) / f->cell_px;
    const int32_t cx = between((int32_t)gx, 0, f->grid_w - 2), cy = between((int32_t)gy, 0, f->grid_h - 2);
    const f4 a = shift_at(f, cx, cy), b = shift_at(f, cx, cy + 1);
    const f4 upper = a + (shift_at(f, cx + 1, cy) - a) * (gx - (float)cx);
    const f4 below = b + (shift_at(f, cx + 1, cy + 1) - b) * (gx - (float)cx);
    const f4 shift = upper + (below - upper) * (gy - (float)cy);
    const float u = within((float)x + shift[0], 0, (float)(f->width - 1));
    const float v = within((float)y + shift[1], 0, (float)(f->height - 1));
    const int32_t ix = (int32_t)u, iy = (int32_t)v;
    const int32_t right = ix + 1 < f->width ? ix + 1 : ix, next = iy + 1 < f->height ? iy + 1 : iy;
    const f4 p = light_at(f, ix, iy), q = light_at(f, ix, next);
    const f4 row = p + (light_at(f, right, iy) - p) * (u - (float)ix);
    const f4 row_below = q + (light_at(f, right, next) - q) * (u - (float)ix);
    return row + (row_below - row) * (v - (float)iy);
}

/* The rows from `first` on, `last` excluded. */
FAST EXPORT void camera_nano_fill(const Fill *f, int32_t first, int32_t last) {
    for (int32_t y = first; y < last; y++) {
        const uint8_t *p = f->own + 3 * (size_t)y * (size_t)f->width;
        uint16_t *out = f->out + 3 * (size_t)y * (size_t)f->width;
        for (int32_t x = 0; x < f->width; x++, p += 3, out += 3) {
            const uint8_t two = p[0] > p[1] ? p[0] : p[1], peak = two > p[2] ? two : p[2];
            if (f->clear[peak] >= 1) {
                out[0] = f->codes[p[0]], out[1] = f->codes[p[1]], out[2] = f->codes[p[2]];
                continue;
            }
            const f4 own = {f->light[p[0]], f->light[p[1]], f->light[p[2]], f->clear[peak]}, moved = darker_at(f, x, y);
            const f4 light = (own + (moved - own) * fills(f->near, f->far, f->white, own, moved)) * f->exposure;
            const float more = light[0] > light[1] ? light[0] : light[1], top = more > light[2] ? more : light[2];
            const float share = top > 1 ? 1 / top : 1; /* what is above white keeps its hue */
            for (int32_t c = 0; c < 3; c++) out[c] = f->roots[(int32_t)(sqrtf(sqrtf(light[c] * share)) * f->n_roots + 0.5f)];
        }
    }
}
