// Everything that is watched while an experiment runs, besides its own calls: packets at the taps, the kernel's states
// and counters.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "capture/live_capture.h"
#include "lab/link/netns.h"
#include "recording/recording.h"
#include "trace/diag.h"
#include "wire/segment.h"

namespace tcpwhy::lab {

// Provenance::settings: SO_NETNS_COOKIE of each namespace of the experiment, for whoever watches the kernel from outside;
// lab.cc takes it out again.
inline constexpr std::string_view namespaces_setting = "namespaces";

// A TCP segment as a tap saw it.
struct SeenSegment {
  base::WallTime at;
  std::string host;  // of the tap
  wire::SocketAddress from, to;
  wire::TcpFlags flags;
  std::uint32_t length = 0;
};

class Observer {
 public:
  struct Host {
    std::string name;                    // "" when both ends share the namespace
    const NetNamespace* home = nullptr;  // nullptr: the current one
    std::string interface;               // "lo", "eth0"
  };
  // From its return on nothing is missed. `recording` gets the interfaces now and the events as they come; it must
  // outlive this.
  static base::Result<Observer> open(const std::vector<Host>& hosts, recording::Recording& recording);

  [[nodiscard]] std::vector<int> fds() const;
  // Takes what the taps have. True if there was anything.
  base::Result<bool> drain();
  // The states and counters of now.
  base::Status sample();
  // At the end: what the kernel dropped.
  void note_losses();

  [[nodiscard]] const std::vector<SeenSegment>& segments() const { return segments_; }
  // The kernel's socket of a connection, or of a listener (no remote); as of the last sample.
  [[nodiscard]] std::optional<recording::SocketSnapshot> find_socket(
      const std::string& host, const std::optional<wire::SocketAddress>& local,
      const std::optional<wire::SocketAddress>& remote) const;
  // SO_NETNS_COOKIE of each host's namespace.
  [[nodiscard]] std::vector<std::uint64_t> namespaces() const;
  // How far a counter has moved since open(). host "": all together.
  [[nodiscard]] std::int64_t moved(const std::string& host, const std::string& counter) const;

 private:
  struct Watch {
    std::string host;
    capture::LiveCapture capture;
    trace::SocketSampler sockets;
    trace::StateTracker states;
    trace::CounterSampler counters;
    recording::InterfaceId interface;
    std::uint64_t netns = 0;
  };
  static base::Result<Watch> watch(const Host& host, recording::Recording& recording);
  explicit Observer(recording::Recording& recording) : recording_(&recording) {}

  recording::Recording* recording_;
  std::vector<Watch> watches_;
  std::vector<SeenSegment> segments_;
  std::map<std::pair<std::string, std::string>, std::int64_t> moved_;  // {host, counter}
  trace::SocketSample sample_;                                         // its memory is used again
};

}  // namespace tcpwhy::lab
