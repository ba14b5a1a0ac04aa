#include "compat/tshark/observer.h"

#include <algorithm>
#include <iterator>

#include "compat/tshark/options.h"

namespace tcpwhy::compat::tshark {
namespace {

constexpr std::size_t shortest_header = 20;
// How much of a header Wireshark must have read before it looks for the connection, and before it looks at the options.
constexpr std::size_t ports_end = 4, window_end = 16;

// tcp.completeness: which parts of a connection's life were seen.
namespace part {
constexpr std::uint8_t syn = 1, syn_ack = 2, ack = 4, data = 8, fin = 16, rst = 32;
}

}  // namespace

struct Observer::Passage {
  const TcpHeader& header;
  Segment segment;
  std::size_t header_length = 0;  // as the header says, be it less than 20
  bool length_known = false;      // of the payload
  Row row;
  Connection* connection = nullptr;
  Flow* sender = nullptr;
  Flow* receiver = nullptr;
  bool is_new = false;  // the connection, and neither for reused ports nor announced
  wire::SocketAddress source, destination;

  [[nodiscard]] bool pure_syn() const { return segment.syn() && !segment.ack_set(); }
  [[nodiscard]] bool syn_ack() const { return segment.syn() && segment.ack_set(); }
  [[nodiscard]] bool ack_without_syn() const { return !segment.syn() && segment.ack_set(); }
  // The acknowledgment as it is shown: relative where the segment was analysed.
  [[nodiscard]] std::uint32_t shown_ack() const {
    return length_known && segment.ack_set() ? segment.ack - receiver->base_seq.value_or(0) : segment.ack;
  }
};

Observer::Observer(Limits limits) : limits_(limits), entries_(0, Hash{limits.seed}) {}

const std::vector<Row>& Observer::observe(const scan::Frame& frame) {
  rows_.clear();
  for (const TcpHeader& header : layers_.find(frame)) {
    auto row = pass(frame, header);
    if (row) rows_.push_back(std::move(*row));
  }
  return rows_;
}

std::optional<Row> Observer::pass(const scan::Frame& frame, const TcpHeader& header) {
  const wire::Bytes b = header.bytes;
  if (!b.has(0, ports_end)) return std::nullopt;
  Passage passage{.header = header, .segment = {}, .row = {}};
  if (!b.has(0, window_end)) return passage.row;
  passage.segment = {.frame = frame.number,
                     .at_ns = base::to_ns(frame.at),
                     .seq = b.be32(4),
                     .ack = b.be32(8),
                     .flags = static_cast<std::uint16_t>(b.be16(12) & 0xfffU),
                     .window = b.be16(14),
                     .length = 0};
  passage.header_length = (b.u8(12) >> 4U) * std::size_t{4};
  while (waiting_ > limits_.waiting) forget_oldest();
  find_connection(passage);
  passage.sender->selectively_acked = 0;
  judge(passage);
  count_waiting(by_use_.back());
  if (passage.header_length < shortest_header) {
    passage.row.findings = {};
    return passage.row;
  }
  advance_completeness(passage);
  judge_fast_open(passage);
  note_handshake(passage);
  if (!b.has(0, shortest_header) || !take_options(passage)) {
    passage.row.findings = {};
    return passage.row;
  }
  passage.row.initial_rtt_ns = passage.connection->initial_rtt_ns;
  settle_window_scale(passage);
  look_into_payload(passage);
  return passage.row;
}

void Observer::begin_connection(Passage& passage, Entry& entry) {
  entry.connection = {};
  entry.connection.stream = streams_++;
  passage.connection = &entry.connection;
}

void Observer::find_connection(Passage& passage) {
  const wire::Bytes b = passage.header.bytes;
  const wire::SocketAddress source{passage.header.source, b.be16(0)},
      destination{passage.header.destination, b.be16(2)};
  passage.source = source;
  passage.destination = destination;
  const bool from_higher = source > destination;
  const scan::FlowKey key = scan::key_of(scan::AddressWords(source), scan::AddressWords(destination), {});
  const auto known = entries_.find(key);
  if (known == entries_.end()) {
    if (entries_.size() >= limits_.connections) forget_oldest();
    by_use_.push_back({.key = key, .connection = {}});
    entries_.emplace(key, std::prev(by_use_.end()));
    begin_connection(passage, by_use_.back());
    passage.is_new = !announced_.take(source, destination);
  } else {
    by_use_.splice(by_use_.end(), by_use_, known->second);
    passage.connection = &by_use_.back().connection;
  }
  const auto choose_flows = [&passage, from_higher] {
    passage.sender = &passage.connection->flows[from_higher ? 0 : 1];
    passage.receiver = &passage.connection->flows[from_higher ? 1 : 0];
  };
  choose_flows();
  notice_reused_ports(passage, by_use_.back());
  choose_flows();
  passage.row.stream = passage.connection->stream;
  passage.row.completeness = passage.connection->completeness;
}

// A SYN with another sequence number than the connection's begins a new one. With the same it is resent, and the furthest
// sequence number goes back to what was seen without a hole (a RST may have moved it).
void Observer::notice_reused_ports(Passage& passage, Entry& entry) {
  Flow& sender = *passage.sender;
  if (!sender.base_seq) return;
  if (passage.pure_syn()) {
    if (passage.segment.seq == *sender.base_seq) {
      sender.next_seq = sender.contiguous_end;
      passage.row.findings.found = true;
      return;
    }
    begin_connection(passage, entry);
    passage.connection->completeness = part::syn;
    passage.row.findings.add(Verdict::reused_ports);
  } else if (passage.syn_ack() && passage.segment.seq != *sender.base_seq) {
    sender.base_seq = passage.segment.seq;
    sender.extent.reset();
    passage.row.findings.add(Verdict::reused_ports);
  }
}

// Only where the length of the segment is known.
void Observer::judge(Passage& passage) {
  const TcpHeader& header = passage.header;
  if (header.in_fragment || header.in_error || header.reported_length < passage.header_length) return;
  passage.length_known = true;
  passage.segment.length = static_cast<std::uint32_t>(header.reported_length - passage.header_length);
  const Context context{.initial_rtt_ns = passage.connection->initial_rtt_ns,
                        .multipath_operations = passage.connection->multipath_operations};
  analyze(passage.segment, context, *passage.sender, *passage.receiver, passage.row.findings);
}

void Observer::advance_completeness(Passage& passage) {
  std::uint8_t& seen = passage.connection->completeness;
  const Segment& segment = passage.segment;
  if (passage.is_new) {
    if (passage.pure_syn()) seen = segment.length > 0 ? part::syn | part::data : part::syn;
    return;
  }
  if (passage.syn_ack()) seen |= part::syn_ack;
  if (passage.ack_without_syn()) seen |= segment.length > 0 ? part::data : part::ack;
  if (segment.fin() && segment.ack_set()) seen |= part::fin;
  if (segment.rst()) seen |= part::rst;
}

void Observer::judge_fast_open(Passage& passage) {
  if (!passage.syn_ack()) return;
  if (passage.shown_ack() > 1) {
    passage.row.fast_open_ack = true;
  } else if (passage.connection->fast_open_data) {
    passage.row.fast_open_ignored = true;
  }
}

// The initial round trip: from the last SYN to the first segment that only acknowledges.
void Observer::note_handshake(Passage& passage) {
  Connection& connection = *passage.connection;
  const std::int64_t now = passage.segment.at_ns;
  if (passage.pure_syn()) connection.last_syn_ns = now;
  if (passage.segment.syn()) passage.sender->awaits_first_ack = true;
  if (!passage.ack_without_syn()) return;
  if (connection.last_syn_ns != 0 && connection.initial_rtt_ns == 0) {
    connection.initial_rtt_ns = now - connection.last_syn_ns;
  }
  passage.sender->awaits_first_ack = false;
}

// False where Wireshark gives the segment up in the middle of its options.
bool Observer::take_options(Passage& passage) {
  const std::size_t length = passage.header_length - shortest_header;
  const Options options = read_options(passage.header.bytes.from(shortest_header), length, passage.shown_ack());
  Connection& connection = *passage.connection;
  if (options.window_scale) passage.sender->window_scale = static_cast<std::int8_t>(*options.window_scale);
  if (options.selectively_acked) passage.sender->selectively_acked = *options.selectively_acked;
  if (options.fast_open_cookie && passage.pure_syn()) {
    passage.row.fast_open_syn = true;
    if (passage.segment.length > 0) connection.fast_open_data = true;
  }
  if (options.multipath && !connection.multipath_operations) connection.multipath_operations = 0;
  if (options.given_up) return false;
  if (connection.multipath_operations) *connection.multipath_operations |= options.multipath_operations;
  return true;
}

// Both ends scale or none: RFC 7323 2.2.
void Observer::settle_window_scale(Passage& passage) {
  if (!passage.segment.syn()) return;
  Flow &sender = *passage.sender, &receiver = *passage.receiver;
  if (sender.window_scale == Flow::scale_unknown) {
    sender.window_scale = receiver.window_scale = Flow::scale_unused;
  } else if (passage.syn_ack() && receiver.window_scale == Flow::scale_unused) {
    sender.window_scale = Flow::scale_unused;
  }
}

// As Wireshark does not look into the payload of what it takes for resent.
void Observer::look_into_payload(const Passage& passage) {
  const Verdicts& verdicts = passage.row.findings.verdicts;
  if (!passage.length_known || passage.segment.length == 0 || passage.segment.rst()) return;
  if (verdicts.has(Verdict::keep_alive) || verdicts.has(Verdict::retransmission) ||
      verdicts.has(Verdict::out_of_order)) {
    return;
  }
  const auto announcement =
      read_announcement(passage.source, passage.destination, passage.header.bytes.from(passage.header_length));
  if (announcement) announced_.add(*announcement);
}

void Observer::count_waiting(Entry& entry) {
  waiting_ -= entry.waiting;
  entry.waiting = 0;
  for (const Flow& flow : entry.connection.flows) entry.waiting += flow.unacknowledged.capacity();
  waiting_ += entry.waiting;
}

void Observer::forget_oldest() {
  waiting_ -= by_use_.front().waiting;
  entries_.erase(by_use_.front().key);
  by_use_.pop_front();
  ++forgotten_;
}

}  // namespace tcpwhy::compat::tshark
