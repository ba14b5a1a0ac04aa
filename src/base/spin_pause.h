// For a thread that looks again and again at what another is about to write.
#pragma once

namespace tcpwhy::base {

// Some tens of cycles in which the processor does little: what shares it, or the line that is looked at, gets on.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // `yield` is no longer than nothing on most
#endif
}

}  // namespace tcpwhy::base
