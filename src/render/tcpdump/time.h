// How a line of the tcpdump view begins.
#pragma once

#include <string>

#include "render/tcpdump/tcpdump.h"

namespace tcpwhy::render::tcpdump {

class TimeColumn {
 public:
  TimeColumn(TcpdumpTime style, bool nanoseconds);
  // With the space that follows it; empty for TcpdumpTime::none.
  std::string next(base::WallTime at);

 private:
  [[nodiscard]] std::string fraction(base::Duration below_a_second) const;
  [[nodiscard]] std::string difference(base::Duration duration) const;
  [[nodiscard]] std::string calendar(base::WallTime at, const char* pattern) const;

  TcpdumpTime style_;
  bool nanoseconds_;
  base::WallTime first_, previous_;  // the epoch: none yet
};

}  // namespace tcpwhy::render::tcpdump
