/* The fused kernel: a bilateral grid of log2 gains sliced at every pixel and applied, in one pass over memory.

   A pixel costs its luminance and range position, four loads of four floats for its place between grid corners, and three
   looks into a table that turns log2 light back into a code; one that nears clipping, how near it is; and where bright
   channels are taken apart, a line for every bend of their gains. No power, no exponential, no memory beyond one row of
   the grid.
   `render.py` makes the tables, and has the same steps in numpy for machines without a C compiler.

   Vectors are in the extension that GCC and Clang share, so SSE and NEON come from one source. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ROW 4096 /* cells across times bins */
#define MAX_BINS 16

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("arch=x86-64-v3", "default"))) /* chosen when it is loaded */
#else
#define FAST
#endif
#define EXPORT __attribute__((visibility("default")))
#define OUTSIDE __attribute__((noinline))

typedef float f4 __attribute__((vector_size(16)));
typedef float f4_any __attribute__((vector_size(16), aligned(4))); /* wherever it lies */
typedef int32_t i4 __attribute__((vector_size(16)));
typedef uint32_t u4 __attribute__((vector_size(16)));

typedef struct {
    const float *grid;         /* (gh, gw, gd, 4): R, G, B gain in steps of the code table, and one unused */
    const float *own;          /* (gh, gw, bends, 4): by how much more steeply from a bin on what channels get by their
                                  own light rises; `grid` is without it */
    const float *white;        /* (4): gains of clipped light in steps of the code table, and one unused */
    const float *clipping;     /* 8 bits: (2, 256), share by code of the largest channel, of the smallest; 16 bits: (2, 2),
                                  from which code they count, and by how much a code */
    const float *log_light;    /* by code: log2 light in steps of the code table from its start, rounding included */
    const uint32_t *luminance; /* 8 bits: (3, 256), what a channel's code adds to a luminance of 0..65535, x 65536 */
    const uint16_t *bin;       /* 8 bits: range position in 1/4096 of a bin; every luminance to 4095, then each 16th */
    const float *own_bin;      /* (3, codes), by code of a channel: its place in bins from where the first bend is */
    const float *light;        /* 16 bits: linear light by code */
    const float *bend;         /* 16 bits: guide by the root of luminance, `guide_steps` steps to 1 and one more */
    int32_t gh, gw, gd, bends, guide_steps;
    int32_t stride; /* entries from the code table of one channel to that of the next; 0 where all have one */
} Recipe;

EXPORT int32_t camera_nano_kernel(void) { return 6; } /* `render.py` refuses any other */

static inline float within(float x, float high) { return x < 0 ? 0 : (x > high ? high : x); }

/* The rows of a grid of `n` that lie at y0 and y1, mixed. */
static inline void between_rows(f4 *row, const f4_any *grid, int32_t n, int32_t y0, int32_t y1, float share) {
    const f4_any *upper = grid + (size_t)y0 * n, *lower = grid + (size_t)y1 * n;
    for (int32_t k = 0; k < n; k++) row[k] = upper[k] + (lower[k] - upper[k]) * share;
}

static inline f4 above_zero(f4 x) { return (f4)((i4)x & (x > 0)); }
static inline float larger(float x, float y) { return x > y ? x : y; }
static inline float smaller(float x, float y) { return x < y ? x : y; }
static inline float smooth(float x) { x = within(x, 1); return x * x * (3 - 2 * x); }

/* How far a pixel counts as clipped: by its largest channel, and by its smallest. By table at 8 bits. */
static inline float clipped_8(const float *high, const uint8_t *p) {
    const float *low = high + 256;
    return larger(larger(high[p[0]], high[p[1]]), high[p[2]]) * smaller(smaller(low[p[0]], low[p[1]]), low[p[2]]);
}

static OUTSIDE float clipped_16(const float *from, const uint16_t *p) {
    const int32_t most = p[0] > p[1] ? p[0] : p[1], least = p[0] < p[1] ? p[0] : p[1];
    const float high = (float)(most > p[2] ? most : p[2]), low = (float)(least < p[2] ? least : p[2]);
    return smooth((high - from[0]) * from[1]) * smooth((low - from[2]) * from[3]);
}

/* The range bin below a pixel's luminance, and how far it is to the next. By table at 8 bits: half the time of a root. */
static inline int32_t bin_8(const Recipe *r, const uint8_t *p, float *beyond) {
    const uint32_t *red = r->luminance, *green = red + 256, *blue = green + 256;
    const uint32_t y = (red[p[0]] + green[p[1]] + blue[p[2]]) >> 16;
    const uint32_t coarse = 3840 + (y >> 4); /* the smaller from 4096 on: no guess that noise makes wrong */
    const int32_t position = r->bin[y < coarse ? y : coarse];
    *beyond = (float)(position & 4095) * (1.0f / 4096.0f);
    return position >> 12;
}

static inline int32_t bin_16(const Recipe *r, const uint16_t *p, float *beyond) {
    const float y = 0.2126f * r->light[p[0]] + 0.7152f * r->light[p[1]] + 0.0722f * r->light[p[2]];
    const float at = sqrtf(y) * (float)r->guide_steps;
    const int32_t m = (int32_t)at;
    const float guide = r->bend[m] + (at - (float)m) * (r->bend[m + 1] - r->bend[m]);
    const float z = within(guide * (float)(r->gd - 1) - 0.5f, (float)(r->gd - 1)); /* the last bin lies beyond white */
    *beyond = z - (float)(int32_t)z;
    return (int32_t)z;
}

/* What the channels get by their own light, `x` between the cells to the left and right: a sum of lines that begin at
   whole positions. So no channel has to look for its bin, and one step serves all three. */
static inline f4 own_gain(const f4 *start, const f4 *slope, int32_t bends, float x, f4 position) {
    f4 gain = (start[0] + slope[0] * x) * position;
    for (int32_t k = 1; k < bends; k++) gain += (start[k] + slope[k] * x) * above_zero(position - (float)k);
    return gain;
}

/* A row is cut where the cells to its left and right change: x and 1 - x of a pixel between two cells are linear in it. */
#define RENDER(NAME, PIXEL, BIN, CLIPPED)                                                                              \
    FAST EXPORT void NAME(const Recipe *recipe, const PIXEL *codes, const PIXEL *pixels, PIXEL *out, int32_t width,    \
                          int32_t height, int32_t first, int32_t last) {                                               \
        const Recipe copy = *recipe, *r = &copy; /* what is written cannot change it: it is read once */               \
        f4 row[MAX_ROW], own_row[MAX_ROW], bin[MAX_BINS][4], own_start[MAX_BINS], own_slope[MAX_BINS];                 \
        const int32_t gd = r->gd, n = r->gw * gd, bends = r->bends, own_n = r->gw * bends;                             \
        const float *log_light = r->log_light, *own_bin = r->own_bin, *clipping = r->clipping;                         \
        enum { CODES = 1 << (8 * sizeof(PIXEL)) };                                                                     \
        const float cells_per_px = (float)r->gw / (float)width;                                                        \
        const f4 white = *(const f4_any *)r->white;                                                                    \
        const int32_t lit = 3 << (8 * sizeof(PIXEL) - 2); /* no channel near clipping lacks the two highest bits */    \
        const PIXEL *reds = codes, *greens = codes + r->stride, *blues = greens + r->stride;                           \
        for (int32_t i = first; i < last; i++) {                                                                       \
            const float y = within(((float)i + 0.5f) * (float)r->gh / (float)height - 0.5f, (float)(r->gh - 1));       \
            const int32_t y0 = (int32_t)y, y1 = y0 + 1 < r->gh ? y0 + 1 : y0;                                          \
            between_rows(row, (const f4_any *)r->grid, n, y0, y1, y - (float)y0);                                      \
            between_rows(own_row, (const f4_any *)r->own, own_n, y0, y1, y - (float)y0);                               \
            const PIXEL *p = pixels + (size_t)i * width * 3;                                                           \
            PIXEL *o = out + (size_t)i * width * 3;                                                                    \
            for (int32_t x0 = -1, j = 0; x0 < r->gw; x0++) {                                                           \
                const int32_t cut = (int32_t)ceilf(((float)x0 + 1.5f) / cells_per_px - 0.5f);                          \
                const int32_t end = x0 + 1 < r->gw && cut < width ? cut : width;                                       \
                const int32_t left = x0 < 0 ? 0 : x0, right = x0 + 1 < r->gw ? x0 + 1 : left;                          \
                const f4 *a = row + left * gd, *b = row + right * gd;                                                  \
                for (int32_t k = 0; k + 1 < gd; k++) {                                                                 \
                    bin[k][0] = a[k], bin[k][1] = a[k + 1] - a[k];                                                     \
                    bin[k][2] = b[k] - a[k], bin[k][3] = b[k + 1] - b[k] - bin[k][1];                                  \
                }                                                                                                      \
                const f4 *own_a = own_row + left * bends, *own_b = own_row + right * bends;                            \
                i4 apart = {0};                                                                                        \
                for (int32_t k = 0; k < bends; k++) {                                                                  \
                    own_start[k] = own_a[k], own_slope[k] = own_b[k] - own_a[k];                                       \
                    apart |= (own_a[k] != 0) | (own_b[k] != 0);                                                        \
                }                                                                                                      \
                const int32_t is_apart = apart[0] | apart[1] | apart[2];                                               \
                const float from = 0.5f * cells_per_px - 0.5f - (float)x0;                                             \
                for (; j < end; j++, p += 3, o += 3) {                                                                 \
                    float beyond;                                                                                      \
                    const f4 *g = bin[BIN(r, p, &beyond)];                                                             \
                    const float x = (float)j * cells_per_px + from;                                                    \
                    const f4 shown = {log_light[p[0]], log_light[p[1]], log_light[p[2]], 0};                           \
                    f4 gain = (g[0] + g[1] * beyond) + (g[2] + g[3] * beyond) * x;                                     \
                    if (is_apart) {                                                                                    \
                        const f4 position = {own_bin[p[0]], own_bin[CODES + p[1]], own_bin[2 * CODES + p[2]], 0};      \
                        gain += own_gain(own_start, own_slope, bends, x, position);                                    \
                    }                                                                                                  \
                    if ((p[0] & p[1] & p[2]) >= lit)                                                                   \
                        gain += above_zero(white - gain) * CLIPPED(clipping, p);                                       \
                    const u4 step = (u4)__builtin_convertvector(shown + gain, i4);                                     \
                    o[0] = reds[step[0]], o[1] = greens[step[1]], o[2] = blues[step[2]];                               \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

RENDER(camera_nano_render_8, uint8_t, bin_8, clipped_8)
RENDER(camera_nano_render_16, uint16_t, bin_16, clipped_16)
