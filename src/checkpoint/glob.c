/* Globs by the two-pointer method: on a mismatch only the last star takes one byte more, which is
 * enough, since an earlier star that took more would leave less for the same rest. Time is
 * O(|glob| |text|), however many stars a stranger writes. Names have no folders: a star takes any
 * byte. */
#include <stddef.h>

#include "checkpoint/layers.h"

/* The end of the set that begins behind '[', or NULL where no ']' closes it: then '[' stands for
 * itself. A ']' that comes first belongs to the set. */
static const char *set_end(const char *set) {
    if (*set == '!')
        set++;
    if (*set == ']')
        set++;
    while (*set != '\0' && *set != ']')
        set++;
    return *set == ']' ? set : NULL;
}

static bool set_has(const char *set, const char *end, char wanted) {
    bool is_negated = *set == '!', is_found = false;
    unsigned char c = (unsigned char)wanted;

    for (set += is_negated; set < end; set++) {
        unsigned char low = (unsigned char)set[0], high = low;
        if (set[1] == '-' && set + 2 < end) {
            high = (unsigned char)set[2];
            set += 2;
        }
        is_found |= low <= c && c <= high;
    }
    return is_found != is_negated;
}

/* Whether the glob's next unit takes the byte; *next is then what follows the unit. */
static bool unit_takes(const char *glob, char byte, const char **next) {
    const char *end = *glob == '[' ? set_end(glob + 1) : NULL;

    *next = end != NULL ? end + 1 : glob + 1;
    if (end != NULL)
        return set_has(glob + 1, end, byte);
    return *glob == '?' || *glob == byte;
}

bool tmsi_glob_matches(const char *glob, const char *text) {
    const char *star = NULL, *star_text = NULL, *next;

    while (*text != '\0') {
        if (*glob == '*') {
            star = ++glob;
            star_text = text;
        } else if (*glob != '\0' && unit_takes(glob, *text, &next)) {
            glob = next;
            text++;
        } else if (star != NULL) {
            glob = star;
            text = ++star_text;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}
