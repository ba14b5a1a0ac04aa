// The link's middle: takes packets from either side and hands them to the other one when their time has come.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "lab/link/link.h"

namespace tcpwhy::lab {

// A packet on its way through, as a policy sees it.
struct PacketInTransit {
  LinkEnd from = LinkEnd::client;
  std::uint32_t number = 0;  // 1, 2, 3, ... per direction
  std::span<const std::uint8_t> bytes;
};

// What is to happen to it. Further fates of a packet are further fields here.
struct Decision {
  base::Duration delay{0};  // from its arrival
  bool drop = false;
};
using Policy = std::function<Decision(const PacketInTransit&)>;

// Set by whoever drives the experiment, read by the forwarder: memory that both share. Index: LinkEnd.
struct Dropping {
  std::array<std::atomic<bool>, 2> from{};
};
static_assert(std::atomic<bool>::is_always_lock_free);

// The policy of LinkOptions: the same delay for each packet of a direction, and lost while `dropping` says so. That may
// be null; otherwise it outlives the policy.
Policy constant_delays(const LinkOptions& options, const Dropping* dropping = nullptr);

// The raw sockets on the middle's two interfaces; packets wait in them from now on.
struct MiddleSockets {
  std::array<base::UniqueFd, 2> by_end;  // index: LinkEnd
  static base::Result<MiddleSockets> open(const std::string& client_interface, const std::string& server_interface);
};

class Forwarder {
 public:
  Forwarder(MiddleSockets sockets, base::UniqueFd reports, Policy policy);

  // Forwards until the other end of `reports` is closed.
  void run();

 private:
  struct Waiting {
    LinkReport report;
    std::vector<std::uint8_t> bytes;
  };
  void receive(LinkEnd from);
  bool receive_one(LinkEnd from);
  void note_kernel_drops(LinkEnd from);
  void send_due();
  void report(const LinkReport& report);
  void flush_reports();
  [[nodiscard]] bool wait();
  [[nodiscard]] int socket(LinkEnd end) const { return sockets_.by_end[static_cast<std::size_t>(end)].get(); }

  MiddleSockets sockets_;
  base::UniqueFd reports_;
  Policy policy_;
  // By departure; of the same departure in order of arrival.
  std::multimap<base::MonotonicTime, Waiting> queue_;
  std::size_t queued_bytes_ = 0;
  std::array<std::uint32_t, 2> numbers_{};
  std::deque<LinkReport> unsent_reports_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace tcpwhy::lab
