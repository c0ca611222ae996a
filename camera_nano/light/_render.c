/* The fused kernel: a bilateral grid of log2 gains sliced at every pixel and applied, in one pass over memory.

   A pixel costs its luminance and range position, four loads of grid corners of four floats each, and three looks into
   a table that turns log2 light back into a code; one that nears clipping, how near it is; and where bright channels are
   taken apart, another twelve loads. No power, no exponential, no memory beyond one row of the grid.
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

typedef struct {
    const float *grid;         /* (gh, gw, gd, 4): R, G, B gain in steps of the code table, and one unused */
    const float *own;          /* the same shape: what a channel gets by its own light; `grid` is without it */
    const float *white;        /* (4): gains of clipped light in steps of the code table, and one unused */
    const float *clipping;     /* 8 bits: (2, 256), share by code of the largest channel, of the smallest; 16 bits: (2, 2),
                                  from which code they count, and by how much a code */
    const float *log_light;    /* by code: log2 light in steps of the code table from its start, rounding included */
    const uint32_t *luminance; /* 8 bits: (3, 256), what a channel's code adds to a luminance of 0..65535, x 65536 */
    const uint16_t *bin;       /* 8 bits: range position in 1/4096 of a bin; every luminance to 4095, then each 16th */
    const float *own_bin;      /* by code of a channel: its range position in bins */
    const float *light;        /* 16 bits: linear light by code */
    const float *bend;         /* 16 bits: guide by the root of luminance, `guide_steps` steps to 1 and one more */
    int32_t gh, gw, gd, guide_steps;
    int32_t stride; /* entries from the code table of one channel to that of the next; 0 where all have one */
    int32_t bright, bright_code; /* what a pixel must reach to count as clipped: range bin, and above it each code */
} Recipe;

EXPORT int32_t camera_nano_kernel(void) { return 4; } /* `render.py` refuses any other */

static inline float within(float x, float high) { return x < 0 ? 0 : (x > high ? high : x); }

static inline f4 above_zero(f4 x) { return (f4)((i4)x & (x > 0)); }
static inline float smooth(float x) { x = within(x, 1); return x * x * (3 - 2 * x); }

/* How far a pixel counts as clipped: by its largest channel, and by its smallest. By table at 8 bits.
   Not inlined: few pixels need it, and the others pay for its registers. */
static OUTSIDE float clipped_8(const float *share, const uint8_t *p) {
    const int32_t most = p[0] > p[1] ? p[0] : p[1], least = p[0] < p[1] ? p[0] : p[1];
    return share[most > p[2] ? most : p[2]] * share[256 + (least < p[2] ? least : p[2])];
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
    const int32_t position = r->bin[y < 4096 ? y : 3840 + (y >> 4)];
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

/* What one channel gets by its own light, `x` between the cells to its left and right. */
static inline float own_gain(const f4 *start, const f4 *slope, float x, float position, int32_t channel) {
    const int32_t z = (int32_t)position;
    const float near = start[z][channel] + slope[z][channel] * x;
    const float far = start[z + 1][channel] + slope[z + 1][channel] * x;
    return near + (far - near) * (position - (float)z);
}

/* A row is cut where the cells to its left and right change: x and 1 - x of a pixel between two cells are linear in it. */
#define RENDER(NAME, PIXEL, BIN, CLIPPED)                                                                                \
    FAST EXPORT void NAME(const Recipe *r, const PIXEL *codes, const PIXEL *pixels, PIXEL *out, int32_t width,         \
                          int32_t height, int32_t first, int32_t last) {                                               \
        f4 row[MAX_ROW], own_row[MAX_ROW], start[MAX_BINS], slope[MAX_BINS], own_start[MAX_BINS], own_slope[MAX_BINS]; \
        const int32_t gd = r->gd, n = r->gw * gd;                                                                      \
        const float *log_light = r->log_light;                                                                         \
        const float *own_bin = r->own_bin;                                                                             \
        const float cells_per_px = (float)r->gw / (float)width;                                                        \
        const f4 white = *(const f4_any *)r->white;                                                                    \
        const float *clipping = r->clipping;                                                                           \
        const int32_t bright = r->bright, bright_code = r->bright_code;                                                \
        const PIXEL *reds = codes, *greens = codes + r->stride, *blues = greens + r->stride;                           \
        for (int32_t i = first; i < last; i++) {                                                                       \
            const float y = within(((float)i + 0.5f) * (float)r->gh / (float)height - 0.5f, (float)(r->gh - 1));       \
            const int32_t y0 = (int32_t)y, y1 = y0 + 1 < r->gh ? y0 + 1 : y0;                                          \
            const f4_any *upper = (const f4_any *)r->grid + (size_t)y0 * n;                                            \
            const f4_any *lower = (const f4_any *)r->grid + (size_t)y1 * n;                                            \
            const f4_any *own_upper = (const f4_any *)r->own + (size_t)y0 * n;                                         \
            const f4_any *own_lower = (const f4_any *)r->own + (size_t)y1 * n;                                         \
            for (int32_t k = 0; k < n; k++) {                                                                          \
                row[k] = upper[k] + (lower[k] - upper[k]) * (y - (float)y0);                                           \
                own_row[k] = own_upper[k] + (own_lower[k] - own_upper[k]) * (y - (float)y0);                           \
            }                                                                                                          \
            const PIXEL *p = pixels + (size_t)i * width * 3;                                                           \
            PIXEL *o = out + (size_t)i * width * 3;                                                                    \
            for (int32_t x0 = -1, j = 0; x0 < r->gw; x0++) {                                                           \
                const int32_t end = x0 + 1 < r->gw ? (int32_t)ceilf(((float)x0 + 1.5f) / cells_per_px - 0.5f) : width; \
                const f4 *a = row + (x0 < 0 ? 0 : x0) * gd, *b = x0 < 0 || x0 + 1 == r->gw ? a : a + gd;               \
                const f4 *own_a = own_row + (a - row), *own_b = own_row + (b - row);                                   \
                for (int32_t k = 0; k < gd; k++) {                                                                     \
                    start[k] = a[k], slope[k] = b[k] - a[k];                                                           \
                    own_start[k] = own_a[k], own_slope[k] = own_b[k] - own_a[k];                                       \
                }                                                                                                      \
                const f4 most = own_a[gd - 1] + own_b[gd - 1]; /* it never falls from bin to bin */                    \
                const int32_t apart = most[0] + most[1] + most[2] > 0;                                                 \
                const float from = 0.5f * cells_per_px - 0.5f - (float)x0;                                             \
                for (; j < end && j < width; j++, p += 3, o += 3) {                                                    \
                    float beyond;                                                                                      \
                    const int32_t z = BIN(r, p, &beyond);                                                              \
                    const float x = (float)j * cells_per_px + from;                                                    \
                    const f4 near = start[z] + slope[z] * x, far = start[z + 1] + slope[z + 1] * x;                    \
                    const f4 shown = {log_light[p[0]], log_light[p[1]], log_light[p[2]], 0};                           \
                    f4 gain = near + (far - near) * beyond;                                                            \
                    if (apart)                                                                                         \
                        for (int32_t c = 0; c < 3; c++) gain[c] += own_gain(own_start, own_slope, x, own_bin[p[c]], c); \
                    if (z >= bright && p[0] > bright_code) /* twice a guess that it is not: both are cheap */          \
                        gain += above_zero(white - gain) * CLIPPED(clipping, p);                                       \
                    const i4 step = __builtin_convertvector(shown + gain, i4);                                         \
                    o[0] = reds[step[0]], o[1] = greens[step[1]], o[2] = blues[step[2]];                               \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

RENDER(camera_nano_render_8, uint8_t, bin_8, clipped_8)
RENDER(camera_nano_render_16, uint16_t, bin_16, clipped_16)
