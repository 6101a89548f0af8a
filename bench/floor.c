/* The floor: the least work in C that reaches the same PCR values and the same verdict on a signature.
 *
 *   floor boot-log FILE LOOPS              parse a crypto-agile log, replay its sha256 bank
 *   floor ima-binary|ima-ascii FILE LOOPS  parse an ima-ng list, hash every template, extend PCR 10
 *   floor quote KEY MESSAGE SIGNATURE PCRS LOOPS   verify by a key loaded beforehand, digest the PCR values
 *
 * Prints CPU seconds of one loop and the result in hex. Bounds are checked; nothing is judged, kept or explained.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIGEST = 32, SHA1_DIGEST = 20, PCRS = 24, NO_ACTION = 3, SHA256_ID = 0x000B, MAX_ALGS = 8, MAX_PATH = 4096 };

struct bytes { const uint8_t *at, *end; };

static void die(const char *why) { fprintf(stderr, "floor: %s\n", why); exit(2); }

static const uint8_t *take(struct bytes *in, size_t size)
{
    const uint8_t *start = in->at;
    if ((size_t)(in->end - in->at) < size) die("input too short");
    in->at += size;
    return start;
}

static uint32_t u32(struct bytes *in)
{
    const uint8_t *b = take(in, 4);
    return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint16_t u16(struct bytes *in)
{
    const uint8_t *b = take(in, 2);
    return (uint16_t)(b[0] | b[1] << 8);
}

static void sha256(const uint8_t *data, size_t size, uint8_t *out)
{
    SHA256_CTX hash;
    SHA256_Init(&hash);
    SHA256_Update(&hash, data, size);
    SHA256_Final(out, &hash);
}

static void extend(uint8_t *pcr, const uint8_t *digest)
{
    uint8_t both[2 * DIGEST];
    memcpy(both, pcr, DIGEST);
    memcpy(both + DIGEST, digest, DIGEST);
    sha256(both, sizeof both, pcr);
}

static void boot_log(struct bytes in, uint8_t *result)
{
    uint8_t pcrs[PCRS][DIGEST] = {{0}};
    uint16_t ids[MAX_ALGS], sizes[MAX_ALGS];
    take(&in, 8 + SHA1_DIGEST);
    uint32_t header = u32(&in);
    struct bytes spec = {in.at, in.at + header};
    take(&in, header);
    take(&spec, 16 + 8);
    uint32_t algs = u32(&spec);
    if (algs > MAX_ALGS) die("too many banks");
    for (uint32_t i = 0; i < algs; i++) { ids[i] = u16(&spec); sizes[i] = u16(&spec); }
    while (in.at < in.end) {
        uint32_t pcr = u32(&in), type = u32(&in), count = u32(&in);
        for (uint32_t i = 0; i < count; i++) {
            uint16_t id = u16(&in), size = 0;
            for (uint32_t j = 0; j < algs; j++) if (ids[j] == id) size = sizes[j];
            if (!size) die("undeclared bank");
            const uint8_t *digest = take(&in, size);
            if (id == SHA256_ID && type != NO_ACTION) { if (pcr >= PCRS) die("no such PCR"); extend(pcrs[pcr], digest); }
        }
        take(&in, u32(&in));
    }
    sha256(&pcrs[0][0], sizeof pcrs, result);
}

static void extend_entry(uint8_t *pcr, const uint8_t *column, const uint8_t *data, size_t size)
{
    static const uint8_t violation[SHA1_DIGEST];
    uint8_t digest[DIGEST];
    if (memcmp(column, violation, SHA1_DIGEST)) sha256(data, size, digest);
    else memset(digest, 0xff, DIGEST);
    extend(pcr, digest);
}

static void ima_binary(struct bytes in, uint8_t *pcr)
{
    memset(pcr, 0, DIGEST);
    while (in.at < in.end) {
        u32(&in);
        const uint8_t *column = take(&in, SHA1_DIGEST);
        take(&in, u32(&in));
        uint32_t size = u32(&in);
        extend_entry(pcr, column, take(&in, size), size);
    }
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    die("not hex");
    return 0;
}

static void hex(struct bytes *in, uint8_t *out, size_t size)
{
    const uint8_t *text = take(in, 2 * size);
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
}

static void word(struct bytes *in, const char *expected)
{
    size_t size = strlen(expected);
    if (memcmp(take(in, size), expected, size)) die("unexpected text");
}

static void ima_ascii(struct bytes in, uint8_t *pcr)
{
    uint8_t column[SHA1_DIGEST], data[4 + 8 + DIGEST + 4 + MAX_PATH + 1] = {8 + DIGEST, 0, 0, 0, 's', 'h', 'a', '2', '5', '6', ':', 0};
    memset(pcr, 0, DIGEST);
    while (in.at < in.end) {
        word(&in, "10 ");
        hex(&in, column, SHA1_DIGEST);
        word(&in, " ima-ng sha256:");
        hex(&in, data + 12, DIGEST);
        word(&in, " ");
        const uint8_t *stop = memchr(in.at, '\n', (size_t)(in.end - in.at));
        if (!stop || stop - in.at > MAX_PATH) die("no end of line");
        uint32_t size = (uint32_t)(stop - in.at) + 1;
        uint8_t *path = data + 12 + DIGEST;
        path[0] = (uint8_t)size; path[1] = (uint8_t)(size >> 8); path[2] = path[3] = 0;
        memcpy(path + 4, take(&in, size), size - 1);
        path[4 + size - 1] = 0;
        extend_entry(pcr, column, data, 12 + DIGEST + 4 + size);
    }
}

static void quote(EVP_PKEY_CTX *key, const struct bytes *files, uint8_t *result)
{
    uint8_t digest[DIGEST];
    sha256(files[1].at, (size_t)(files[1].end - files[1].at), digest);
    if (EVP_PKEY_verify(key, files[2].at, (size_t)(files[2].end - files[2].at), digest, sizeof digest) != 1) die("signature");
    sha256(files[3].at, (size_t)(files[3].end - files[3].at), result);
}

static EVP_PKEY_CTX *loaded_key(struct bytes der)
{
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der.at, der.end - der.at);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    if (!context || EVP_PKEY_verify_init(context) != 1 || EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1) die("key");
    return context;
}

static struct bytes load(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(name);
    long size = ftell(file);
    uint8_t *data = malloc((size_t)size + 1);
    rewind(file);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) die(name);
    fclose(file);
    return (struct bytes){data, data + size};
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct bytes files[4];
    uint8_t result[DIGEST] = {0};
    if (argc < 4 || argc > 7) die("usage: see the top of floor.c");
    for (int i = 2; i < argc - 1; i++) files[i - 2] = load(argv[i]);
    long loops = strtol(argv[argc - 1], NULL, 10);
    EVP_PKEY_CTX *key = argc == 7 ? loaded_key(files[0]) : NULL;
    double start = cpu_seconds();
    for (long i = 0; i < loops; i++) {
        if (!strcmp(argv[1], "boot-log")) boot_log(files[0], result);
        else if (!strcmp(argv[1], "ima-binary")) ima_binary(files[0], result);
        else if (!strcmp(argv[1], "ima-ascii")) ima_ascii(files[0], result);
        else if (!strcmp(argv[1], "quote") && key) quote(key, files, result);
        else die("unknown work");
    }
    printf("%.9f ", (cpu_seconds() - start) / (double)loops);
    for (int i = 0; i < DIGEST; i++) printf("%02x", result[i]);
    printf("\n");
    return 0;
}
