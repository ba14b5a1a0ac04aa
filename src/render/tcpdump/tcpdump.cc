#include "render/tcpdump/tcpdump.h"

#include <utility>

#include "render/tcpdump/line.h"
#include "render/tcpdump/time.h"

namespace tcpwhy::render {

struct TcpdumpPrinter::State {
  explicit State(TcpdumpOptions wanted)
      : options(std::move(wanted)),
        time(options.time, options.nanoseconds),
        conversations(options.most_conversations) {}

  TcpdumpOptions options;
  tcpdump::TimeColumn time;
  tcpdump::Conversations conversations;
};

TcpdumpPrinter::TcpdumpPrinter(TcpdumpOptions options) : state_(std::make_unique<State>(std::move(options))) {}
TcpdumpPrinter::TcpdumpPrinter(TcpdumpPrinter&&) noexcept = default;
TcpdumpPrinter& TcpdumpPrinter::operator=(TcpdumpPrinter&&) noexcept = default;
TcpdumpPrinter::~TcpdumpPrinter() = default;

namespace {

// What tcpdump says, without a time, of a packet whose record contradicts itself.
std::string contradiction(const TcpdumpPacket& packet) {
  const std::size_t captured = packet.captured.size(), length = packet.original_length;
  if (captured == 0) return fmt::format("[Invalid header: caplen==0{}]", length == 0 ? ", len==0" : "");
  if (length == 0) return "[Invalid header: len==0]";
  if (length < captured) return fmt::format("[Invalid header: len({}) < caplen({})]", length, captured);
  return {};
}

}  // namespace

TcpdumpLine TcpdumpPrinter::print(const TcpdumpPacket& packet) {
  if (std::string text = contradiction(packet); !text.empty()) return {std::move(text), false};
  tcpdump::Line line{
      .options = state_->options, .conversations = state_->conversations, .text = state_->time.next(packet.at)};
  tcpdump::write_frame(line, packet.link_type, {tcpdump::Bytes(packet.captured), packet.original_length});
  return {std::move(line.text), line.is_tcp};
}

}  // namespace tcpwhy::render
