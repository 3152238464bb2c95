// A clock that runs faster, so that what a run does every ten seconds happens in one of some milliseconds.
//
// RESLICE_FAULT_CLOCK  how many times as fast the monotonic clock runs; waits until a time of that clock are shortened as much
#pragma once

#include <linux/futex.h>

static long speed;
static long long origin;  // nanoseconds at which both clocks show the same

static long plain_syscall(long number, long a, long b, long c, long d, long e, long f) {
  static long (*next)(long, ...);
  if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return next(number, a, b, c, d, e, f);
}

static long long nanoseconds(const struct timespec *time) { return time->tv_sec * 1000000000ll + time->tv_nsec; }

static struct timespec as_time(long long ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

__attribute__((constructor)) static void start_clock(void) {
  struct timespec now;
  const char *value = getenv("RESLICE_FAULT_CLOCK");
  plain_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
  origin = nanoseconds(&now);
  speed = value ? atol(value) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *into) {
  int done = plain_syscall(SYS_clock_gettime, clock, (long)into, 0, 0, 0, 0);
  if (!done && speed > 0 && clock == CLOCK_MONOTONIC) *into = as_time(origin + (nanoseconds(into) - origin) * speed);
  return done;
}

// Rust's locks and sleeping threads wait through this one.
long syscall(long number, ...) {
  long arg[6];
  struct timespec until;
  va_list rest;
  va_start(rest, number);
  for (int n = 0; n < 6; n++) arg[n] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_futex && speed > 0 && arg[3] && ((int)arg[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
    until = as_time(origin + (nanoseconds((const struct timespec *)arg[3]) - origin) / speed);
    arg[3] = (long)&until;
  }
  return plain_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
