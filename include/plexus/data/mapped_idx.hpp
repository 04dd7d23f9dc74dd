// IDX files trained on where they lie. Needs zlib.
#pragma once

#include <plexus/data/idx.hpp>
#include <plexus/data/mapped_source.hpp>

namespace plexus::inline PLEXUS_ABI {

// The samples of load_idx(images, labels, classes), whose images stay in their file, which must not be
// packed. Throws where load_idx() does.
inline mapped_source map_idx(const std::filesystem::path& images_path,
                             const std::filesystem::path& labels_path, int classes = 0) {
  byte_source file(images_path, idx::doing(images_path));
  idx::reader reader(file);
  if (reader.zipped()) {
    file.refuse("it is gzipped, and what is packed cannot be mapped",
                "unpack it (gunzip), or read it whole by load_idx");
  }
  const idx::header head = reader.read_header(idx::images);
  const std::uint64_t begin = reader.position(), end = begin + reader.checked_count(head.shape, 1);
  if (end < file.size()) reader.refuse_more(end);
  idx::labelled pairs = idx::pair_up(images_path, head.shape, labels_path, classes);
  return {mapped_rows(mapped_file(file), begin, mapped_rows::element::uint8, pairs.images, pairs.features,
                      idx::white),
          std::move(pairs.labels), pairs.classes};
}

}  // namespace plexus::inline PLEXUS_ABI
