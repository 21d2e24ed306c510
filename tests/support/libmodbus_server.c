/* A Modbus server on libmodbus, for tests: an implementation of the protocol that
 * shares nothing with ours. Units 0 to 7 have 2,000 of each kind, all zero.
 *
 *   libmodbus_server [PORT]        Modbus TCP; prints the port
 *   libmodbus_server rtu TTY...    Modbus RTU; unit 1 on the first terminal, unit 2 on
 *                                  the second, and so on; prints how many
 *
 * Then it obeys lines on standard input:
 *
 *   set UNIT AREA OFFSET WORD      c coil, d discrete, i input, h holding
 *   get UNIT AREA OFFSET           prints the word
 *   float UNIT OFFSET ORDER VALUE  a float32 in two holding registers
 *   float? UNIT OFFSET ORDER       prints it, as libmodbus reads it
 *   bad UNIT AREA OFFSET           exception 2 for every request that touches it
 *   good UNIT AREA OFFSET          not any more
 *   most COUNT                     exception 3 for more than so many registers
 *   refuse UNIT CODE               every answer of the unit is that exception; 0: none
 *   mute UNIT 0|1                  the unit does not answer at all
 *   without FUNCTION               exception 1 for a function; 0: knows them all
 *   requests [UNIT]                prints how many were answered or ignored so far
 *   widest                         prints the most registers or bits asked for at once
 *
 * Each line is answered by one line. It ends when standard input does.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

enum { UNITS = 8, SIZE = 2000, AREAS = 4 };

static modbus_mapping_t *unit_map[UNITS];
static unsigned char is_bad[UNITS][AREAS][SIZE];
static int refusal[UNITS], is_mute[UNITS], requests[UNITS];
static int most = 125, without, widest;
static int header = 7; /* bytes before the function: 7 in TCP, 1 in RTU */

static int area_of(char letter) {
    const char *letters = "cdih", *found = strchr(letters, letter);
    return found && letter ? (int)(found - letters) : 0;
}

static int area_of_function(int function) {
    switch (function) {
    case 1: case 5: case 15: return 0;
    case 2: return 1;
    case 4: return 2;
    default: return 3;
    }
}

static void put(int unit, char letter, int offset, int word) {
    modbus_mapping_t *map = unit_map[unit];
    switch (area_of(letter)) {
    case 0: map->tab_bits[offset] = word != 0; break;
    case 1: map->tab_input_bits[offset] = word != 0; break;
    case 2: map->tab_input_registers[offset] = (uint16_t)word; break;
    default: map->tab_registers[offset] = (uint16_t)word;
    }
}

static int look(int unit, char letter, int offset) {
    modbus_mapping_t *map = unit_map[unit];
    switch (area_of(letter)) {
    case 0: return map->tab_bits[offset];
    case 1: return map->tab_input_bits[offset];
    case 2: return map->tab_input_registers[offset];
    default: return map->tab_registers[offset];
    }
}

/* libmodbus 3.1.6 reads floats in all orders but exchanges bytes when it sets them, so
 * they are set here: the letters of the order say which byte comes where. */
static void put_float(uint16_t *words, const char *order, float value) {
    uint32_t bits;
    uint8_t sent[4];
    memcpy(&bits, &value, sizeof bits);
    for (int place = 0; place < 4; place++)
        sent[place] = (uint8_t)(bits >> 8 * ('d' - order[place]));
    words[0] = (uint16_t)(sent[0] << 8 | sent[1]);
    words[1] = (uint16_t)(sent[2] << 8 | sent[3]);
}

static float look_float(const uint16_t *words, const char *order) {
    if (!strcmp(order, "abcd")) return modbus_get_float_abcd(words);
    if (!strcmp(order, "badc")) return modbus_get_float_badc(words);
    if (!strcmp(order, "cdab")) return modbus_get_float_cdab(words);
    return modbus_get_float_dcba(words);
}

static int valid(int unit, int offset) {
    return unit >= 0 && unit < UNITS && offset >= 0 && offset < SIZE - 3;
}

/* Obey one line; print its answer. */
static void obey(const char *line) {
    int unit = 0, offset = 0, word = 0;
    char letter = 'h', order[8] = "";
    float value = 0;
    if (sscanf(line, "set %d %c %d %d", &unit, &letter, &offset, &word) == 4 && valid(unit, offset))
        put(unit, letter, offset, word), puts("ok");
    else if (sscanf(line, "get %d %c %d", &unit, &letter, &offset) == 3 && valid(unit, offset))
        printf("%d\n", look(unit, letter, offset));
    else if (sscanf(line, "float %d %d %4s %f", &unit, &offset, order, &value) == 4 && valid(unit, offset))
        put_float(unit_map[unit]->tab_registers + offset, order, value), puts("ok");
    else if (sscanf(line, "float? %d %d %4s", &unit, &offset, order) == 3 && valid(unit, offset))
        printf("%.9g\n", look_float(unit_map[unit]->tab_registers + offset, order));
    else if (sscanf(line, "bad %d %c %d", &unit, &letter, &offset) == 3 && valid(unit, offset))
        is_bad[unit][area_of(letter)][offset] = 1, puts("ok");
    else if (sscanf(line, "good %d %c %d", &unit, &letter, &offset) == 3 && valid(unit, offset))
        is_bad[unit][area_of(letter)][offset] = 0, puts("ok");
    else if (sscanf(line, "most %d", &word) == 1)
        most = word, puts("ok");
    else if (sscanf(line, "refuse %d %d", &unit, &word) == 2 && valid(unit, 0))
        refusal[unit] = word, puts("ok");
    else if (sscanf(line, "mute %d %d", &unit, &word) == 2 && valid(unit, 0))
        is_mute[unit] = word, puts("ok");
    else if (sscanf(line, "without %d", &word) == 1)
        without = word, puts("ok");
    else if (sscanf(line, "requests %d", &unit) == 1 && valid(unit, 0))
        printf("%d\n", requests[unit]);
    else if (!strncmp(line, "requests", 8)) {
        int sum = 0;
        for (unit = 0; unit < UNITS; unit++) sum += requests[unit];
        printf("%d\n", sum);
    } else if (!strncmp(line, "widest", 6))
        printf("%d\n", widest);
    else
        printf("cannot obey: %s", line);
    fflush(stdout);
}

/* Obey what came on standard input; return 0 when it has ended. */
static int take_orders(char *pending, size_t room, size_t *held) {
    ssize_t got = read(STDIN_FILENO, pending + *held, room - *held - 1);
    char *end;
    if (got <= 0) return 0;
    *held += (size_t)got;
    pending[*held] = 0;
    while ((end = strchr(pending, '\n'))) {
        *end = 0;
        obey(pending);
        *held -= (size_t)(end + 1 - pending);
        memmove(pending, end + 1, *held + 1);
    }
    return 1;
}

/* Return the exception that the settings above demand, or 0. */
static int objection(int unit, const uint8_t *query) {
    int function = query[header];
    int offset = query[header + 1] << 8 | query[header + 2];
    int count = query[header + 3] << 8 | query[header + 4];
    int area = area_of_function(function);
    if (function == 5 || function == 6 || function == 22) count = 1;
    if (count > widest) widest = count;
    if (refusal[unit]) return refusal[unit];
    if (function == without) return 1;
    if (area >= 2 && count > most) return 3;
    for (int here = offset; here < offset + count && here < SIZE; here++)
        if (is_bad[unit][area][here]) return 2;
    return 0;
}

static void answer(modbus_t *ctx, const uint8_t *query, int length, int unit) {
    int code;
    if (unit >= UNITS) return;
    requests[unit]++;
    if (is_mute[unit]) return;
    if (header > 1) modbus_set_slave(ctx, unit);
    if ((code = objection(unit, query)))
        modbus_reply_exception(ctx, query, (unsigned)code);
    else
        modbus_reply(ctx, query, length, unit_map[unit]);
}

/* Serve one unit per terminal: libmodbus answers for one unit per context. */
static int serve_rtu(int count, char **names, char *pending, size_t room) {
    modbus_t *line[UNITS];
    size_t held = 0;
    header = 1;
    for (int unit = 1; unit <= count; unit++) {
        line[unit] = modbus_new_rtu(names[unit - 1], 115200, 'N', 8, 1);
        modbus_set_slave(line[unit], unit);
        if (modbus_connect(line[unit]) < 0) {
            fprintf(stderr, "cannot open: %s\n", modbus_strerror(errno));
            return 1;
        }
    }
    printf("%d\n", count);
    fflush(stdout);
    for (;;) {
        fd_set ready;
        int highest = STDIN_FILENO;
        FD_ZERO(&ready);
        FD_SET(STDIN_FILENO, &ready);
        for (int unit = 1; unit <= count; unit++) {
            int fd = modbus_get_socket(line[unit]);
            FD_SET(fd, &ready);
            if (fd > highest) highest = fd;
        }
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        if (FD_ISSET(STDIN_FILENO, &ready) && !take_orders(pending, room, &held)) return 0;
        for (int unit = 1; unit <= count; unit++) {
            uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
            int length;
            if (!FD_ISSET(modbus_get_socket(line[unit]), &ready)) continue;
            length = modbus_receive(line[unit], query);
            if (length > 0) answer(line[unit], query, length, unit);
        }
    }
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 0;
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", port);
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    char pending[4096] = "";
    size_t held = 0;
    fd_set watched;
    int listener, highest;

    for (int unit = 0; unit < UNITS; unit++)
        unit_map[unit] = modbus_mapping_new(SIZE, SIZE, SIZE, SIZE);
    if (argc > 2) return serve_rtu(argc - 2, argv + 2, pending, sizeof pending);
    if ((listener = modbus_tcp_listen(ctx, 32)) < 0) {
        fprintf(stderr, "cannot listen: %s\n", modbus_strerror(errno));
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&own, &size);
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    FD_ZERO(&watched);
    FD_SET(STDIN_FILENO, &watched);
    FD_SET(listener, &watched);
    highest = listener;
    for (;;) {
        fd_set ready = watched;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        for (int fd = 0; fd <= highest; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == STDIN_FILENO) {
                if (!take_orders(pending, sizeof pending, &held)) return 0;
            } else if (fd == listener) {
                int fresh = accept(listener, NULL, NULL);
                if (fresh < 0) continue;
                FD_SET(fresh, &watched);
                if (fresh > highest) highest = fresh;
            } else {
                uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
                int length;
                modbus_set_socket(ctx, fd);
                length = modbus_receive(ctx, query);
                if (length > 0) answer(ctx, query, length, query[header - 1]);
                else if (length < 0) {
                    close(fd);
                    FD_CLR(fd, &watched);
                }
            }
        }
    }
}
