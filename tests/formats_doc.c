/* The worked examples of docs/formats.md are what the library writes and reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "format/format.h"
#include "support/matrices.h"
#include "support/number.h"

enum { PAGE_BYTES = 1 << 17, ITEMS_MAX = 256 };

/* One fenced block: a first line of format, type and sizes, then lines of dense elements and of
 * each component's bytes; a line that begins with a space goes on with the one before. */
typedef struct example {
    tms_format_desc desc;
    tms_dtype dtype;
    long long n, k;
    double dense[ITEMS_MAX];
    int32_t dense_count;
    uint8_t bytes[TMS_COMPONENT_MAX][ITEMS_MAX];
    size_t byte_count[TMS_COMPONENT_MAX];
    char names[TMS_COMPONENT_MAX][16];
    int32_t component_count;
} example;

static void read_head(const char *line, example *out) {
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
    char format[16] = "", dtype[16] = "";
    const char *at;
    tms_format id = TMS_FORMAT_DENSE;

    assert_int_equal(sscanf(line, "%15s %15s n=%lld k=%lld", format, dtype, &out->n, &out->k), 4);
    assert_ok(tms_format_parse(format, &id));
    out->desc = tms_format_desc_default(id);
    out->dtype = TMS_DTYPE_COUNT;
    for (size_t i = 0; i < TEST_COUNT(dtypes); i++)
        if (strcmp(dtype, tms_dtype_name(dtypes[i])) == 0)
            out->dtype = dtypes[i];
    assert_int_not_equal(out->dtype, TMS_DTYPE_COUNT);
    if ((at = strstr(line, "keep=")) != NULL)
        assert_int_equal(sscanf(at, "keep=%d group=%d", &out->desc.keep, &out->desc.group), 2);
    if ((at = strstr(line, "block_rows=")) != NULL)
        assert_int_equal(sscanf(at, "block_rows=%d block_columns=%d", &out->desc.block_rows,
                                &out->desc.block_columns),
                         2);
}

/* Numbers of a line, after its word: decimals of `dense` (component -1), else hex bytes. */
static void read_items(char *text, int32_t component, example *out) {
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        char *end = word;
        if (component < 0 && out->dense_count < ITEMS_MAX)
            out->dense[out->dense_count++] = strtod(word, &end);
        else if (component >= 0 && out->byte_count[component] < ITEMS_MAX)
            out->bytes[component][out->byte_count[component]++] = (uint8_t)strtoul(word, &end, 16);
        if (end == word || *end != '\0')
            fail_msg("\"%s\" is no number, or one too many", word);
    }
}

static void read_line(char *line, bool *is_dense, example *out) {
    char word[16] = "";
    int used = 0;

    if (line[0] != ' ') {
        assert_int_equal(sscanf(line, "%15s%n", word, &used), 1);
        *is_dense = strcmp(word, "dense") == 0;
        if (!*is_dense) {
            if (out->component_count == TMS_COMPONENT_MAX)
                fail_msg("more than %d components", TMS_COMPONENT_MAX);
            memcpy(out->names[out->component_count++], word, sizeof word);
        }
    }
    read_items(line + used, *is_dense ? -1 : out->component_count - 1, out);
}

/* The block that begins at `text`, behind its fence; returns where it ends. */
static char *read_example(char *text, example *out) {
    bool is_dense = false, is_head = true;
    char *end = strstr(text, "\n```");

    assert_non_null(end);
    *end = '\0';
    memset(out, 0, sizeof *out);
    while (text != NULL) {
        char *next = strchr(text, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (is_head)
            read_head(text, out);
        else
            read_line(text, &is_dense, out);
        is_head = false;
        text = next;
    }
    return end + 1;
}

static void check_example(const example *self) {
    tms_context *context = test_context(1, 0);
    uint8_t values[ITEMS_MAX * 4];
    uint8_t decoded[ITEMS_MAX * 4];
    tms_matrix dense, matrix;

    assert_int_equal(self->dense_count, self->n * self->k);
    for (int32_t i = 0; i < self->dense_count; i++)
        test_write(values, self->dtype, i, self->dense[i]);
    dense = tms_matrix_dense(self->dtype, self->n, self->k, values);
    matrix = test_matrix_encode(context, &dense, &self->desc, NULL);
    assert_int_equal(self->component_count, matrix.component_count);
    for (int32_t c = 0; c < matrix.component_count; c++) {
        assert_string_equal(self->names[c], matrix.components[c].name);
        assert_int_equal(self->byte_count[c], matrix.components[c].bytes);
        assert_memory_equal(self->bytes[c], matrix.components[c].data, self->byte_count[c]);
        memcpy(matrix.components[c].data, self->bytes[c], self->byte_count[c]);
    }
    assert_ok(tms_matrix_decode(context, &matrix, decoded));
    assert_memory_equal(decoded, dense.components[0].data, dense.components[0].bytes);
    test_components_free(&matrix);
    tms_context_destroy(context);
}

static void every_example_is_what_the_library_writes_and_reads(void **state) {
    int32_t seen[TMS_FORMAT_COUNT] = {0};
    char *page = calloc(PAGE_BYTES, 1), *at = page;
    FILE *file = fopen(SOURCE_DIR "/docs/formats.md", "rb");
    example read;
    (void)state;

    assert_non_null(page);
    assert_non_null(file);
    assert_in_range(fread(page, 1, PAGE_BYTES - 1, file), 1, PAGE_BYTES - 2);
    fclose(file);
    while ((at = strstr(at, "\n```example\n")) != NULL) {
        at = read_example(at + strlen("\n```example\n"), &read);
        check_example(&read);
        seen[read.desc.format]++;
    }
    for (int i = 0; i < TMS_FORMAT_COUNT; i++)
        if (seen[i] == 0)
            fail_msg("docs/formats.md has no example of %s", tms_format_name((tms_format)i));
    free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_what_the_library_writes_and_reads),
    };
    return cmocka_run_group_tests_name("formats_doc", tests, NULL, NULL);
}
