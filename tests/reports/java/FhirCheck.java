import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import java.nio.file.Files;
import java.nio.file.Path;
import org.hl7.fhir.common.hapi.validation.support.*;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/** Validates FHIR R4 resources offline. One line a message: file, severity, place, text, separated by tabs. */
public class FhirCheck {
  public static void main(String[] files) throws Exception {
    FhirContext context = FhirContext.forR4();
    ValidationSupportChain chain = new ValidationSupportChain(
        new DefaultProfileValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new SnapshotGeneratingValidationSupport(context),
        new UnknownCodeSystemWarningValidationSupport(context));
    FhirValidator validator = context.newValidator();
    validator.registerValidatorModule(new FhirInstanceValidator(chain));
    for (String file : files) {
      var result = validator.validateWithResult(Files.readString(Path.of(file)));
      System.out.println(file + "\t" + (result.isSuccessful() ? "valid" : "invalid"));
      for (var one : result.getMessages())
        System.out.println(file + "\t" + one.getSeverity() + "\t" + one.getLocationString() + "\t" + one.getMessage());
    }
  }
}
