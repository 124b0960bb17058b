#include "model/tags.h"

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define RESERVED "aws:"

bool tag_key_is_reserved(const char *key) {
    return strncasecmp(key, RESERVED, strlen(RESERVED)) == 0;
}

/* The code point at *text, which moves behind it. */
static uint32_t take_point(const unsigned char **text) {
    const unsigned char *at = *text;
    uint32_t point = at[0];
    size_t n = point < 0xC0 ? 1 : point < 0xE0 ? 2 : point < 0xF0 ? 3 : 4;

    if (n > 1) {
        point &= 0x7FU >> n;
    }
    for (size_t i = 1; i < n && (at[i] & 0xC0) == 0x80; i++) {
        point = point << 6 | (at[i] & 0x3FU);
    }
    at++;
    while ((*at & 0xC0) == 0x80) {
        at++;
    }
    *text = at;
    return point;
}

/* Beyond ASCII what is no letter, no digit and no blank, by blocks. */
static bool is_symbol(uint32_t point) {
    static const struct {
        uint32_t first;
        uint32_t last;
    } symbols[] = {
        {0x80, 0x9F},        {0xA1, 0xA9},     {0xAB, 0xB1},       {0xB4, 0xB4},
        {0xB6, 0xB8},        {0xBB, 0xBB},     {0xBF, 0xBF},       {0xD7, 0xD7},
        {0xF7, 0xF7},        {0x2010, 0x2027}, {0x202A, 0x202E},   {0x2030, 0x205E},
        {0x2060, 0x206F},    {0x20A0, 0x20CF}, {0x2190, 0x245F},   {0x2500, 0x2775},
        {0x2794, 0x2BFF},    {0x3001, 0x3004}, {0x3008, 0x3020},   {0xE000, 0xF8FF},
        {0xFE10, 0xFE6F},    {0xFFF0, 0xFFFF}, {0x1F000, 0x1F0FF}, {0x1F300, 0x1FAFF},
        {0xF0000, 0x10FFFF},
    };

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        if (point >= symbols[i].first && point <= symbols[i].last) {
            return true;
        }
    }
    return false;
}

bool tag_text_is_valid(const char *text) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "
                                  "_.:/=+-@";
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        uint32_t point = take_point(&at);
        if (point < 0x80 ? strchr(allowed, (int)point) == NULL : is_symbol(point)) {
            return false;
        }
    }
    return true;
}
