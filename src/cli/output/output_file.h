// Files that the user names for what a command writes: recordings and reports. They hold what others have sent, so nobody else
// may read them, and nobody else chooses where they are.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "capfile/input/compression.h"
#include "cli/output/output.h"

namespace CLI {
class App;
}

namespace tcpwhy::cli {

// To be opened before anything is done whose result is to be written: a place that cannot be written is an error then.
//
// A new file has mode 0600. It has no name before appear(): until then it is nobody's (O_TMPFILE), or, where the file system cannot
// do that, has a name that begins with ".tcpwhy-" beside its place. Destroyed before, nothing is left. What bears the name already
// is replaced only with the user's word, and as a whole (rename(2)): what else is linked to it, or has it open, keeps it.
//
// A symbolic link is followed if root or the caller made it, a FIFO written to if it is theirs. Devices, and the descriptors behind
// /dev/stdout, /dev/fd and "-", are written to as they are.
class OutputFile {
 public:
  enum class Temporary : std::uint8_t { nameless, named };
  // Errors: usage, where there is a file already and `overwrite` is not said; a place that is somebody else's; what the system says.
  // Waits for the reader of a FIFO. `temporary`: what is tried first.
  static base::Result<OutputFile> open(const std::string& path, bool overwrite,
                                       Temporary temporary = Temporary::nameless);
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Unbuffered, as Output is. Valid as long as this lives, and stays where it is.
  [[nodiscard]] Output& out() { return out_; }
  [[nodiscard]] capfile::Sink sink();

  // Gives it its name: what is written from then on is there at once. If somebody else has taken the name meanwhile, what has been
  // written is kept under another, which the error tells.
  base::Status appear();
  // When all is written: appears, and is on the disk. The error is that of any write too.
  base::Status finish();

  // Where a file is to stand: a folder, and the name in it.
  struct Place {
    base::UniqueFd folder;
    std::string name;
  };

 private:
  OutputFile(std::string path, base::UniqueFd fd, Place place, bool overwrite);
  int give_name(const std::string& name, bool replace);

  std::string path_;  // as the user wrote it
  base::UniqueFd fd_;
  Output out_;
  Place place_;           // without a folder: not a file of ours
  std::string name_now_;  // the temporary name; empty: none
  bool overwrite_ = false, appeared_ = true;
};

// --overwrite, of all files that the command writes.
void add_overwrite(CLI::App& app, bool& overwrite);

}  // namespace tcpwhy::cli
