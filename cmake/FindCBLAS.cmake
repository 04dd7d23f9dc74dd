# Finds a BLAS with the C interface: any library that has cblas_sgemm, with the cblas.h that goes with it.
# Defines CBLAS_FOUND and the target CBLAS::CBLAS. CBLAS_LIBRARY and CBLAS_INCLUDE_DIR choose another one.
find_path(CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas blis flexiblas)
find_library(CBLAS_LIBRARY NAMES openblas flexiblas blis cblas blas)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CBLAS REQUIRED_VARS CBLAS_LIBRARY CBLAS_INCLUDE_DIR)
mark_as_advanced(CBLAS_INCLUDE_DIR CBLAS_LIBRARY)

if(CBLAS_FOUND AND NOT TARGET CBLAS::CBLAS)
  add_library(CBLAS::CBLAS UNKNOWN IMPORTED GLOBAL)
  set_target_properties(CBLAS::CBLAS PROPERTIES
    IMPORTED_LOCATION "${CBLAS_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${CBLAS_INCLUDE_DIR}")
endif()
