// What the readers of both formats share. Private to capfile.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capfile/formats/reader.h"
#include "capfile/input/input_buffer.h"

namespace tcpwhy::capfile {

class CaptureReader::Impl {
 public:
  Impl(InputBuffer input, std::string name) : input_(std::move(input)), name_(std::move(name)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  virtual ~Impl() = default;

  // What read_record() put into its place.
  enum class Kind : std::uint8_t { end, packet, section, journal };

  base::Result<std::optional<Record>> next() {
    const auto kind = advance();
    if (!kind) return std::unexpected(kind.error());
    switch (*kind) {
      case Kind::packet: return packet_;
      case Kind::section: return std::move(section_);
      case Kind::journal: return journal_;
      case Kind::end: break;
    }
    return std::nullopt;
  }
  base::Result<const PacketRecord*> next_packet() {
    while (true) {
      const auto kind = advance();
      if (!kind) return std::unexpected(kind.error());
      if (*kind == Kind::packet) return &packet_;
      if (*kind == Kind::end) return nullptr;
    }
  }
  [[nodiscard]] const std::vector<InterfaceInfo>& interfaces() const { return interfaces_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const InputBuffer& input() const { return input_; }

 protected:
  // Fills the field that the returned kind names.
  virtual base::Result<Kind> read_record() = 0;

  // Errors name the place where this was called last: the beginning of a record.
  void mark_record() { record_offset_ = input_.offset(); }

  // "NAME: WHAT at byte OFFSET", where OFFSET is where the current record begins.
  [[nodiscard]] std::unexpected<base::Error> damaged(const base::Text& what) const;
  // The input ended after `have` of the `need` bytes of `what` ("a packet"); or its source failed there.
  [[nodiscard]] std::unexpected<base::Error> cut(const base::Text& what, std::uint64_t have, std::uint64_t need) const;

  InputBuffer input_;
  std::vector<InterfaceInfo> interfaces_;
  PacketRecord packet_;
  SectionRecord section_;
  JournalRecord journal_;

 private:
  base::Result<Kind> advance() {
    if (stopped_) return std::unexpected(*stopped_);
    auto kind = read_record();
    if (!kind) stopped_ = kind.error();
    return kind;
  }

  std::string name_;
  std::uint64_t record_offset_ = 0;
  std::optional<base::Error> stopped_;
};

// The name as an error line shows it; "-" is called "standard input" already.
std::string shown(const std::string& name);
std::unexpected<base::Error> unreadable(const std::string& name, const base::Text& what, base::OwnedText hint = {});

// Null if the input does not begin with the magic of the format.
std::unique_ptr<CaptureReader::Impl> make_pcap_reader(InputBuffer& input, const std::string& name);
std::unique_ptr<CaptureReader::Impl> make_pcapng_reader(InputBuffer& input, const std::string& name);
std::unique_ptr<CaptureReader::Impl> make_snoop_reader(InputBuffer& input, const std::string& name);

}  // namespace tcpwhy::capfile
