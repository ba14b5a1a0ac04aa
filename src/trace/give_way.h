// The reader of events lets the programs that it watches have the processor first, as long as nothing is lost by that.
#pragma once

#include <sys/types.h>

namespace tcpwhy::trace {

// Of the thread that makes it: its nice value is raised while it keeps up, and as it was while it does not. Where it may not be lowered
// again (no CAP_SYS_NICE, and RLIMIT_NICE below) it is left alone. Children and threads that begin meanwhile have what it has then.
class GiveWay {
 public:
  GiveWay();
  GiveWay(const GiveWay&) = delete;
  GiveWay& operator=(const GiveWay&) = delete;
  ~GiveWay();  // as it was

  // After each look: how full the buffer was that it empties, 0 to 1.
  void found(double fullness);

 private:
  void set(int nice);

  pid_t thread_;
  int own_nice_;
  int nice_;
  bool may_ = false;
  int calm_looks_ = 0;
};

}  // namespace tcpwhy::trace
