// The packets of one interface of the *current* network namespace, live.
//
// libpcap over AF_PACKET (packet(7)): immediate mode, so that a packet can be read as soon as it was tapped; stamps of
// CLOCK_REALTIME in nanoseconds, taken when the tap runs; never promiscuous. Works for root and inside an unprivileged user
// namespace that owns the network namespace (CAP_NET_RAW there). Once opened, a capture stays with its interface: the thread
// may leave the namespace.
//
// A packet on `lo` passes the tap twice, leaving and arriving. Only the arriving copy is taken; the other one costs no room in
// the ring either (PACKET_IGNORE_OUTGOING).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "recording/event.h"
#include "recording/recording.h"
#include "wire/packet.h"

namespace tcpwhy::capture {

struct LiveCaptureOptions {
  std::string interface;                       // "lo"
  std::uint32_t snap_length = 262144;          // bytes kept of a packet
  std::uint32_t ring_bytes = 8 * 1024 * 1024;  // the kernel's ring; `lo` needs 64 KiB a packet whatever its length
  std::string filter;                          // pcap-filter(7); empty: everything
};

class LiveCapture {
 public:
  // Errors: privilege (no CAP_NET_RAW; hint says how to get it), usage (a filter that does not compile), system (no such
  // interface, ...). From the return of open() on nothing is missed.
  static base::Result<LiveCapture> open(const LiveCaptureOptions& options);

  LiveCapture(LiveCapture&&) noexcept;
  LiveCapture& operator=(LiveCapture&&) noexcept;
  ~LiveCapture();

  // Readable (poll, POLLIN) when drain() would give packets.
  [[nodiscard]] int fd() const;
  [[nodiscard]] wire::LinkType link_type() const;
  // As Recording::interfaces wants it. `host`: the end whose namespace this is; empty where both ends share it.
  [[nodiscard]] recording::Interface describe(std::string host = {}) const;

  // Appends every packet that waits, in the order of the tap, as events with a recording::Packet of this `interface`.
  // Never blocks. Returns how many.
  base::Result<std::size_t> drain(recording::InterfaceId interface, std::vector<recording::Event>& events);

  // A recording::Loss "packets" when the kernel dropped some for want of room (ps_drop) since the last call, else nothing.
  std::optional<recording::Event> new_losses();

 private:
  struct Impl;
  explicit LiveCapture(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::capture
