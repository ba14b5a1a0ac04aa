// Beside tshark's verdicts: what we call the segment, where that is something else.
#pragma once

#include <span>
#include <string>

#include "compat/tshark/observer.h"
#include "scan/connections/connection_table.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::compat::tshark {

class OwnClass {
 public:
  explicit OwnClass(const Observer::Limits& limits);

  // Our words for the frame's segment, empty where tshark's verdicts say the same or where the frame has no segment for
  // us. To be asked for each frame in its turn, for our tracker follows the connection.
  std::string unlike(const scan::Frame& frame, std::span<const Row> rows);

 private:
  scan::ConnectionTable connections_;
};

}  // namespace tcpwhy::compat::tshark
