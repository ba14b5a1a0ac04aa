// The packets of one capture, or of several as one, in the order of their times.
//
// Rotated captures may be given in any order: each is read when its first packet's turn has come, so a thousand of
// them, open all the time, need no more memory than those that overlap. Packets of the same time stay in the order of their files, and the
// packets of one file in theirs, whatever their times say. Nothing is read ahead of one packet a file, so pipes are
// read as they fill.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "capfile/formats/reader.h"

namespace tcpwhy::scan {

struct SourcedPacket {
  const capfile::PacketRecord* record = nullptr;
  std::uint32_t file = 0;                        // index into the paths or inputs
  const capfile::SharedBytes* memory = nullptr;  // capfile::CaptureReader::memory()
};

// For a bar: bytes of the files, compressed or not, that have been read, of how many in all; unknown where one of them
// is a pipe.
struct Progress {
  std::uint64_t read = 0;
  std::optional<std::uint64_t> size;
};

class MergedPackets {
 public:
  // "-" is standard input. Errors as those of capfile::CaptureReader::open, of the first path that has one.
  static base::Result<MergedPackets> open(const std::vector<std::string>& paths);
  static base::Result<MergedPackets> open(std::vector<capfile::Input> inputs);
  static MergedPackets of(capfile::CaptureReader reader);

  // The next packet, or one without a record at the end. Valid until the next call. An input that is damaged is left at
  // the damage; when all others have come to their ends the error is given, and repeated by further calls.
  base::Result<SourcedPacket> next() {
    // One file, or the last of several, as a rule.
    if (current_ && advance(*current_) && open_.empty() && waiting_.empty()) [[likely]]
      return current();
    return next_of_several();
  }
  [[nodiscard]] Progress progress() const;
  // Of the file that the packet given last is of, where no other is open: capfile::CaptureReader::in_memory() and
  // read_ahead(), else 0 and null.
  [[nodiscard]] std::size_t in_memory() const;
  [[nodiscard]] const std::shared_ptr<capfile::ReadAhead>& read_ahead() const;

 private:
  [[nodiscard]] const capfile::CaptureReader* only_reader() const;
  struct Source {
    std::optional<capfile::Input> input;           // none: there is a reader only
    std::optional<capfile::CaptureReader> reader;  // while it is open
    const capfile::PacketRecord* head = nullptr;   // its next packet
    base::WallTime first;
    std::optional<std::uint64_t> size;
  };
  using Index = std::uint32_t;

  // Whether it has another packet. Closes it where not.
  bool advance(Index index) {
    Source& source = sources_[index];
    const auto packet = source.reader->next_packet();
    source.head = packet ? *packet : nullptr;
    if (source.head == nullptr) [[unlikely]]
      close(source, packet);
    return source.head != nullptr;
  }
  void close(Source& source, const base::Result<const capfile::PacketRecord*>& last);
  [[nodiscard]] SourcedPacket current() const {
    const Source& source = sources_[*current_];
    return {source.head, *current_, &source.reader->memory()};
  }
  base::Result<SourcedPacket> next_of_several();
  bool begin(Index index);
  void keep(base::Error error);
  [[nodiscard]] bool comes_later(Index a, Index b) const;

  std::vector<Source> sources_;
  std::vector<Index> open_;     // a heap: those with a head that are not the current one, the earliest on top
  std::vector<Index> waiting_;  // not open yet: the latest first
  std::optional<Index> current_;
  std::optional<base::Error> error_;
  std::uint64_t finished_bytes_ = 0;
};

}  // namespace tcpwhy::scan
