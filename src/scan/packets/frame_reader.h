// The packets of a capture as frames: numbered as Wireshark numbers them, dissected down to the TCP segment where there
// is one, IP fragments put together.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scan/packets/merged_packets.h"
#include "scan/packets/raw_frame.h"
#include "scan/packets/time_order.h"
#include "scan/packets/unread_links.h"
#include "wire/ip/reassembler.h"
#include "wire/packet.h"

namespace tcpwhy::scan {

struct Frame : RawFrame {
  // Its payload points into `bytes`, or, of a segment that came in fragments, into memory that is valid as long. Such a
  // segment belongs to the frame that completed it, as tshark has it; the frames before are Dissection::fragment, or
  // other where the fragments are a tunnel's.
  wire::DissectedPacket packet;
  // The IP packet that was put together, where `packet` was dissected from such a one. Valid until the next frame is read.
  std::span<const std::uint8_t> reassembled;
};

// Whether a packet is wanted; an error ends the reading. (capture::PacketFilter is one, but that room links libpcap: who
// puts the program together passes it in.)
using FrameFilter = std::function<base::Result<bool>(wire::LinkType link_type, std::span<const std::uint8_t> captured,
                                                     std::uint32_t original_length)>;

struct FrameOptions {
  FrameFilter filter;          // none: all packets are wanted
  std::function<bool()> stop;  // asked every few hundred packets: true, and they are at their end
  bool teredo = false;
  // Frames in the order of their time stamps, and not of the file (scan/packets/time_order.h): from the beginning on if it shows near that,
  // which is not looked for in a pipe, that the two differ; otherwise as soon as it does. What another program makes of a capture is in the
  // order of the file.
  bool by_time = false;
  wire::ReassemblyLimits reassembly = {};
};

class FrameReader {
 public:
  // Errors as those of capfile::CaptureReader: ErrorKind::unreadable, with the input's name. "-": standard input.
  static base::Result<FrameReader> open(const std::string& path, FrameOptions options = {});
  static base::Result<FrameReader> open_all(const std::vector<std::string>& paths, FrameOptions options = {});
  static base::Result<FrameReader> open_all(std::vector<capfile::Input> inputs, FrameOptions options = {});
  static base::Result<FrameReader> from_memory(std::span<const std::uint8_t> bytes, std::string name,
                                               FrameOptions options = {});

  // The next wanted packet into `frame`; false at the end. After damage every frame before it has been given; further calls
  // repeat the error.
  base::Result<bool> next(Frame& frame);
  // The same as a value: dearer.
  base::Result<std::optional<Frame>> next();

  // next() in its three steps, for who dissects in several threads. read_raw() is for one thread at a time; what it
  // read stays valid as long as `memory`, shared with others, is (capfile::CaptureReader::memory()); read_ahead() is
  // what other threads may help it with, as long as it reads on. dissect() is for any thread. Where it finds
  // `packet.fragmented`, reassemble() is still to be called: for one thread at a time, in the order of the frames.
  base::Result<bool> read_raw(RawFrame& frame, const capfile::SharedBytes*& memory);
  [[nodiscard]] std::size_t in_memory() const { return order_ ? 0 : packets_.in_memory(); }
  [[nodiscard]] const std::shared_ptr<capfile::ReadAhead>& read_ahead() const;
  void dissect(Frame& frame) const;
  void reassemble(Frame& frame);

  [[nodiscard]] Progress progress() const { return packets_.progress(); }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }  // the number of the last one, wanted or not
  // Of the frames read so far, as they stand in the file.
  [[nodiscard]] const Disorder& disorder() const { return disorder_; }
  [[nodiscard]] const UnreadLinks& unread_links() const { return unread_links_; }  // among those that were wanted
  [[nodiscard]] const wire::Reassembler::Counts& reassembly() const { return reassembler_.counts(); }

 private:
  FrameReader(MergedPackets packets, FrameOptions options);
  base::Result<bool> read_next(RawFrame& frame, const capfile::SharedBytes*& memory);
  base::Result<bool> read_in_order(RawFrame& frame, const capfile::SharedBytes*& memory);

  MergedPackets packets_;
  FrameFilter filter_;
  std::function<bool()> stop_;
  wire::DissectOptions dissect_options_;
  wire::Reassembler reassembler_;
  std::uint64_t frames_ = 0;
  bool by_time_ = false;
  Disorder disorder_;
  std::optional<TimeOrder> order_;           // where the stamps decide, or may
  std::optional<base::Result<bool>> ended_;  // with that, before what waits in it has been given
  UnreadLinks unread_links_;
};

}  // namespace tcpwhy::scan
