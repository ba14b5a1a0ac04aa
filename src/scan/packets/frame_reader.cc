#include "scan/packets/frame_reader.h"

#include <algorithm>
#include <utility>

#include "wire/ether_type.h"

namespace tcpwhy::scan {
namespace {

// What a fragment is as long as others are missing.
wire::DissectedPacket unfinished(const wire::IpFragment& fragment) {
  wire::DissectedPacket packet;
  packet.kind = fragment.protocol == wire::ip_protocol::tcp ? wire::Dissection::fragment : wire::Dissection::other;
  packet.fragmented = true;
  packet.encapsulation = fragment.encapsulation;
  packet.segment.source.ip = fragment.source;
  packet.segment.destination.ip = fragment.destination;
  packet.segment.payload = fragment.bytes;
  packet.segment.payload_length = static_cast<std::uint32_t>(fragment.bytes.size());
  return packet;
}

}  // namespace

FrameReader::FrameReader(MergedPackets packets, FrameOptions options)
    : packets_(std::move(packets)),
      filter_(std::move(options.filter)),
      stop_(std::move(options.stop)),
      reassembler_(options.reassembly),
      by_time_(options.by_time) {
  dissect_options_.teredo = options.teredo;
}

base::Result<FrameReader> FrameReader::open(const std::string& path, FrameOptions options) {
  return open_all(std::vector{path}, std::move(options));
}

base::Result<FrameReader> FrameReader::open_all(const std::vector<std::string>& paths, FrameOptions options) {
  auto packets = MergedPackets::open(paths);
  if (!packets) return std::unexpected(std::move(packets.error()));
  return FrameReader(std::move(*packets), std::move(options));
}

base::Result<FrameReader> FrameReader::open_all(std::vector<capfile::Input> inputs, FrameOptions options) {
  // Who writes into a pipe may take long to fill it: what comes from there is shown as it comes.
  const bool can_wait = std::ranges::all_of(inputs, &capfile::Input::is_regular);
  auto packets = MergedPackets::open(std::move(inputs));
  if (!packets) return std::unexpected(std::move(packets.error()));
  FrameReader reader(std::move(*packets), std::move(options));
  if (reader.by_time_ && can_wait) reader.order_.emplace();
  return reader;
}

const std::shared_ptr<capfile::ReadAhead>& FrameReader::read_ahead() const {
  static const std::shared_ptr<capfile::ReadAhead> nobody;
  return order_ ? nobody : packets_.read_ahead();
}

base::Result<FrameReader> FrameReader::from_memory(std::span<const std::uint8_t> bytes, std::string name,
                                                   FrameOptions options) {
  auto reader = capfile::CaptureReader::from_memory(bytes, std::move(name));
  if (!reader) return std::unexpected(std::move(reader.error()));
  return FrameReader(MergedPackets::of(std::move(*reader)), std::move(options));
}

// What was fragmented may hold a tunnel whose packets are fragments again.
void FrameReader::reassemble(Frame& frame) {
  constexpr int deepest = 4;
  wire::LinkType link_type = frame.link_type;
  std::span<const std::uint8_t> bytes = frame.bytes;
  std::size_t length = frame.original_length;
  wire::DissectOptions options = dissect_options_;
  for (int depth = 0; depth < deepest && frame.packet.fragmented; ++depth) {
    const auto fragment = wire::find_fragment(link_type, bytes, length, options);
    if (!fragment) return;
    const auto whole = reassembler_.add(*fragment, frame.at);
    if (!whole) {
      frame.packet = unfinished(*fragment);
      frame.reassembled = {};
      return;
    }
    link_type = wire::LinkType::raw;
    bytes = *whole;
    length = whole->size();
    options.outer = fragment->encapsulation;
    frame.reassembled = bytes;
    wire::dissect_into(frame.packet, link_type, bytes, length, options);
  }
}

base::Result<bool> FrameReader::read_raw(RawFrame& frame, const capfile::SharedBytes*& memory) {
  if (by_time_ && disorder_.frames > 0 && !order_) [[unlikely]]
    order_.emplace();
  if (order_) [[unlikely]]
    return read_in_order(frame, memory);
  return read_next(frame, memory);
}

base::Result<bool> FrameReader::read_in_order(RawFrame& frame, const capfile::SharedBytes*& memory) {
  constexpr std::uint64_t looked_at = 4096;  // where queues are out of step, that shows soon
  while (!order_->is_full() && !ended_ && (frames_ < looked_at || disorder_.frames > 0)) {
    auto more = read_next(frame, memory);
    if (more && *more) {
      order_->put(frame, disorder_.steps, *memory);
    } else {
      ended_ = std::move(more);
    }
  }
  if (order_->take(frame, memory)) return true;
  if (ended_) return *ended_;
  order_.reset();
  return read_next(frame, memory);
}

base::Result<bool> FrameReader::read_next(RawFrame& frame, const capfile::SharedBytes*& memory) {
  constexpr std::uint64_t frames_between_looks = 256;
  while (true) {
    if (frames_ % frames_between_looks == 0 && stop_ && stop_()) [[unlikely]]
      return false;
    const auto packet = packets_.next();
    if (!packet) return std::unexpected(packet.error());
    if (packet->record == nullptr) return false;
    const capfile::PacketRecord& record = *packet->record;
    ++frames_;
    disorder_.note(record.at);
    if (filter_) {
      const auto wanted = filter_(record.link_type, record.bytes, record.original_length);
      if (!wanted) return std::unexpected(wanted.error());
      if (!*wanted) continue;
    }
    unread_links_.count(record.link_type);
    frame.number = frames_;
    frame.at = record.at;
    frame.link_type = record.link_type;
    frame.file = packet->file;
    frame.original_length = record.original_length;
    frame.bytes = record.bytes;
    memory = packet->memory;
    return true;
  }
}

void FrameReader::dissect(Frame& frame) const {
  frame.reassembled = {};
  wire::dissect_into(frame.packet, frame.link_type, frame.bytes, frame.original_length, dissect_options_);
}

base::Result<bool> FrameReader::next(Frame& frame) {
  const capfile::SharedBytes* memory = nullptr;
  auto more = read_raw(frame, memory);
  if (!more || !*more) return more;
  dissect(frame);
  if (frame.packet.fragmented) [[unlikely]]
    reassemble(frame);
  return true;
}

base::Result<std::optional<Frame>> FrameReader::next() {
  Frame frame;
  const auto more = next(frame);
  if (!more) return std::unexpected(more.error());
  return *more ? std::optional(frame) : std::nullopt;
}

}  // namespace tcpwhy::scan
