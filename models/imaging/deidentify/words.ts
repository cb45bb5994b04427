/** Clean Descriptors (PS3.15 E.3.4): a description stays if each of its words is one that says nothing of a person. */

const builtIn = new Set(
  `abdomen abdominal acquisition adc angio angiography ankle aorta ap apical arterial axial axials b0 b1000 bilateral body bone bones
  brain breast bw c cardiac carotid cavity cc cervical chest cine clavicle cm contrast cor coronal cr cranium ct cta cxr default
  delayed dental derived dicom diffusion doppler dose dual dwi dx dynamic early echo elbow enhanced epi ep2d femur fat fast fb fl
  flair flow fluoro foot forearm fov frontal fs fse full function gradient gre hand head heart hip hr humerus image images inspiration
  kidney knee kv l large lat lateral left leg lesion liver localizer loc low lower lumbar lung lungs mammo mammography map marrow
  mediastinum mg mip mlo mm mpr mr mra mri multi native navigator neck ncc nm non obl oblique of orbit original pa pd pelvis perfusion
  pet phase pituitary plain plane portable portal post posterior pre prone proton prostate protocol pt pulmonary r ray recon
  reconstruction reformat renal res rest rib right routine sag sagittal scan scout screening se sequence series shoulder skull slab
  slice slices small soft space spin spine spoiled standard standing stir stress study supine survey swi t1 t1w t2 t2w test the thick
  thin thoracic thorax thyroid tibia time tissue tof topogram tra trans transverse trufi tse turbo ultrasound upper us venous view
  volume vibe w water weighted whole with without window wrist x xa xray`.split(/\s+/),
)

/**
 * Text of another repertoire than ASCII is none that can be judged: bytes of names in it may read as words. Neither are
 * numbers that may be a date.
 * @param text byte by byte
 * @param more words of the settings, in any case
 */
export function isPlain(text: string, more: ReadonlySet<string>): boolean {
  if (!/^[\x20-\x7e\r\n\t\0]*$/.test(text) || /\d[./-]\s*\d/.test(text)) return false
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? []
  if (words.filter(word => /^\d+$/.test(word)).length > 2) return false
  return words.every(word => builtIn.has(word) || more.has(word) || /^\d{1,2}$/.test(word))
}
